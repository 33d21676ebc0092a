"""A client of the dialect service on the library websockets.

It sends the lines that it reads, and writes a line for each message that it
gets. The last line tells how the connection was closed.
"""
import asyncio
import json
import sys

import websockets


async def lines():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().rstrip("\n")


async def send(ws):
    async for line in lines():
        await ws.send(line)
    await ws.close()


async def main(url):
    async with websockets.connect(url) as ws:
        sending = asyncio.create_task(send(ws))
        try:
            async for message in ws:
                print(message, flush=True)
        except websockets.ConnectionClosedError:
            pass
        sending.cancel()
    print(json.dumps({"closed": ws.close_code}), flush=True)


asyncio.run(main(sys.argv[1]))
