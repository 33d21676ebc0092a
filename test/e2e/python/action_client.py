"""What the two clients of the dialect action have in common.

    usage: action_client_….py ADDRESS

Commands: register KEY CHECKSUM NAME PROMPT…, connection CHECKSUM,
takedecision MESSAGE…, disconnect. Every line that is printed is one of

    sent                  a command was sent
    received {…}          a message came
    token …               it was kept, perhaps as an empty text
    error …               the command was refused, or a message was no JSON
"""
import asyncio
import json
import sys

import websockets


class Client:
    def __init__(self, socket, key, about_tokens):
        self.socket, self.key, self.about_tokens = socket, key, about_tokens
        self.token, self.last = None, ""

    async def listen(self):
        async for text in self.socket:
            try:
                message = json.loads(text)
            except json.JSONDecodeError:
                print("error JSON decoding error in the received message", flush=True)
                continue
            print("received", json.dumps(message), flush=True)
            if self.key in message and self.last in self.about_tokens:
                self.token = message[self.key]
                print("token", self.token, flush=True)

    def message(self, command, words):
        if command == "register":
            key, checksum, name, *prompt = words
            return {"action": "Register", "API_KEY": key, "checksum": checksum, "name": name, "prompt": " ".join(prompt)}
        if command == "connection":
            return {"action": "Connection", "checksum": words[0]}
        if command in ("takedecision", "disconnect") and not self.token:
            raise ValueError("no token available: register or connect first")
        if command == "takedecision":
            return {"action": "TakeDecision", "token": self.token, "message": " ".join(words)}
        if command == "disconnect":
            return {"action": "Disconnect", "token": self.token}
        raise ValueError("invalid command " + command)

    async def type(self):
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            command, *words = line.split()
            try:
                message = self.message(command, words)
            except ValueError as e:
                print("error", e, flush=True)
                continue
            self.last = command
            await self.socket.send(json.dumps(message))
            print("sent", flush=True)


async def main(address, key, about_tokens):
    async with websockets.connect(address) as socket:
        client = Client(socket, key, about_tokens)
        listening = asyncio.create_task(client.listen())
        await client.type()
        listening.cancel()


def run(key, about_tokens):
    asyncio.run(main(sys.argv[1], key, about_tokens))
