// Answers while they are being given, for clients that ask for them; others see
// one message, as ever. Stopping is for everybody in the room.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client, matrix } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { start } from './lib/server.mjs';

let server;
before(async () => { server = await start(); });
after(async () => {
  await checkTraffic(server);
  assert.equal(await server.stop(), 0);
});

const open = (options) => Client.open(server.url, { token: server.tokens.member, ...options });
const isAnswer = (e) => e.name === 'ai_chat_bot_message';

for (const options of matrix) {
  describe(`streams, socket.io-client ${options.version} over ${options.transport}`, { concurrency: true }, () => {
    it('brings an answer in pieces to who asks for it, and whole to others', async () => {
      const streaming = await open(options);
      const { chatRoomID } = await streaming.emit('ai_chat_room_join', { stream: true });
      const plain = await open(options);
      assert.equal((await plain.emit('ai_chat_room_join', { chatRoomID })).ok, true);
      streaming.received.splice(0);
      plain.received.splice(0);
      const said = await plain.emit('ai_chat_user_message', { chatRoomID, message: { text: 'help' } });

      const events = await streaming.until(isAnswer);
      assert.deepEqual(events.map((e) => e.name).filter((n) => n !== 'ai_chat_bot_stream_delta'), [
        'ai_chat_member_message', 'ai_chat_room_updated', 'ai_chat_bot_stream_start', 'ai_chat_bot_typing', 'ai_chat_bot_stream_end', 'ai_chat_bot_typing', 'ai_chat_bot_message']);
      let text = '';
      for (const { payload } of events.filter((e) => e.name === 'ai_chat_bot_stream_delta')) {
        assert.equal(payload.at, text.length);
        assert.equal(payload.replyTo, said.offset);
        text += payload.text;
      }
      const end = events.find((e) => e.name === 'ai_chat_bot_stream_end').payload;
      assert.deepEqual([end.text, end.finishReason, events.at(-1).payload.text], [text, 'stop', text]);
      const heard = (await plain.until(isAnswer)).filter((e) => e.payload.offset);
      assert.deepEqual(heard.map((e) => [e.name, e.payload.offset]), [['ai_chat_member_message', said.offset], ['ai_chat_bot_message', said.offset + 1]]);
      assert.equal(heard[0].payload.userID, 'member');
      if (options.version > 2) assert.equal(heard[0].payload.sessionID, plain.socket.id); // version 2 does not know it

      assert.deepEqual(await plain.emit('ai_chat_stop', { chatRoomID }), { ok: true, stopped: false });
      streaming.close();
      plain.close();
    });
  });
}
