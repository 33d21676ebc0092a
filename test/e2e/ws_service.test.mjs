// Clients of the dialect service, written from its document: Node, Python and a
// browser, beside one of Socket.IO.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openBrowser } from './lib/browser.mjs';
import { Client, limit } from './lib/client.mjs';
import { Frames, browser, node, python } from './lib/frames.mjs';
import { start, workflow } from './lib/server.mjs';

let server, context, publisher, page;
before(async () => {
  server = await start({ env: { ROOMCAST_AUTH_LEEWAY: '1ms' } });
  publisher = await server.token('service', 'default', 'publisher');
  context = await openBrowser();
  page = await context.newPage();
  await page.goto(server.url);
});
after(async () => {
  await context?.close();
  assert.equal(await server.stop(), 0);
});

const kinds = { 'ws of Node': () => node, 'websockets of Python': () => python('ws_service.py'), 'WebSocket of a browser': () => browser(page) };
const address = (token) => `${server.url.replace('http', 'ws')}/api/ws?token=${token}`;
const publish = async (room, event, data) => {
  const { status, body } = await server.api(publisher, 'POST', '/tenants/default/publish', { room, event, data });
  assert.equal(status, 200, JSON.stringify(body));
};

// subscribe subscribes to a channel and waits for the confirmation.
async function subscribe(client, channel) {
  await client.send({ type: 'subscribe', data: { channel } });
  assert.deepEqual((await client.next('subscribed')).data, { channel });
}

for (const [name, kind] of Object.entries(kinds)) {
  describe(name, { concurrency: false }, () => {
    let client;
    before(async () => (client = await Frames.open(kind(), address(server.tokens.member))));

    it('gets an answer to ping', async () => {
      await client.send({ type: 'ping', data: {} });
      const pong = await client.next('pong');
      assert.deepEqual(pong.data, {});
      assert.match(pong.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    });

    it('is told what is wrong, and stays', async () => {
      await client.send('nonsense');
      assert.equal((await client.next('error')).data.code, 'invalid_request');
      await client.send({ type: 'dance', data: {} });
      assert.equal((await client.next('error')).data.code, 'invalid_request');
      await client.send({ type: 'subscribe', data: { channel: 'tenant:other' } });
      assert.equal((await client.next('error')).data.code, 'subscription_failed');
    });

    it('gets notifications of its user', async () => {
      await publish('user:default:member', 'notification', { message: 'New comment on your post', level: 'info' });
      assert.deepEqual((await client.next('notification')).data, { message: 'New comment on your post', level: 'info' });
    });

    it('is told what waits for a decision of its user', async () => {
      await client.send({ type: 'chat_message', data: { conversation_id: 'jobs', content: 'run Add numbers with a=2, b=3' } });
      const { data } = await client.next('notification');
      assert.equal(data.message, 'The assistant waits for a decision: Add numbers');
      assert.ok(data.data.approvalID);
      const asked = (await client.next('chat_message')).data;
      assert.deepEqual([asked.conversation_id, asked.sender_id], ['jobs', 'assistant']);
      await client.send({ type: 'chat_message', data: { conversation_id: 'jobs', content: 'no' } });
      await client.next('chat_message');
      await client.send({ type: 'unsubscribe', data: { channel: 'conversation:jobs' } });
      await client.next('unsubscribed');
    });

    it('gets the status of what it is subscribed to', async () => {
      await subscribe(client, 'task:task-789');
      await publish('entity:default:task:task-789', 'status_update', { entityType: 'task', entityID: 'task-789', status: 'completed', ownerID: 'member' });
      assert.deepEqual((await client.next('status_update')).data, { entity_type: 'task', entity_id: 'task-789', status: 'completed' });
    });

    it('gets what listeners hear', async () => {
      const { body } = await server.api(server.tokens.admin, 'POST', '/tenants/default/listeners', { title: 'Prices' });
      await subscribe(client, `listener:${body.listenerID}`);
      await server.api(server.tokens.admin, 'POST', `/tenants/default/listeners/${body.listenerID}/events`, { data: [1, 2], mode: 'append', limit: 5 });
      assert.deepEqual((await client.next('listener_event')).data, { channel: `listener:${body.listenerID}`, data: [1, 2], mode: 'append', limit: 5 });
    });

    it('talks with a client of Socket.IO, and hears the assistant', async () => {
      const other = await Client.open(server.url, { token: server.tokens.member });
      const { chatRoomID } = await other.emit('ai_chat_room_join', {});
      await subscribe(client, `conversation:${chatRoomID}`);
      const heard = [];
      const hear = async () => heard.push((await client.next('chat_message')).data);

      await client.send({ type: 'chat_message', data: { conversation_id: chatRoomID, content: 'Hello there!' } });
      const said = await other.next('ai_chat_member_message');
      assert.deepEqual([said.text, said.userID], ['Hello there!', 'member']);
      const answer = await other.next('ai_chat_bot_message');
      await hear();
      await other.emit('ai_chat_user_message', { message: { text: 'help' }, chatRoomID });
      await hear();
      await hear();
      assert.deepEqual(heard.map((m) => [m.conversation_id, m.sender_id]), [[chatRoomID, 'assistant'], [chatRoomID, 'member'], [chatRoomID, 'assistant']]);
      assert.deepEqual(heard.map((m) => m.content), [answer.text, 'help', (await other.next('ai_chat_bot_message')).text]);
      other.close();
    });

    it('follows a run', async () => {
      const { body } = await server.api(server.tokens.member, 'POST', `/tenants/default/workflows/${await workflow(server, 'Add numbers')}/execute`, { inputValues: { a: 2, b: 3 } });
      await subscribe(client, `workflow_run:${body.instanceID}`);
      for (;;) {
        const { data } = await client.next('status_update');
        assert.equal(data.entity_type, 'workflow_run');
        assert.equal(data.entity_id, body.instanceID);
        if (data.status === 'COMPLETED' && data.data.output) {
          assert.deepEqual(data.data.output, { sum: 5 });
          break;
        }
      }
    });

    it('ends when it likes', async () => {
      assert.deepEqual(client.received.filter((f) => f.type !== 'status_update'), []);
      assert.equal(await client.close(), name.includes('Python') ? 1000 : 1005); // which says nothing
    });

    it('is told that its token has ended', async () => {
      const short = await Frames.open(kind(), address(await server.token('ada', 'default', 'member', '--ttl', '3s')));
      assert.equal((await short.next('error')).data.code, 'unauthorized');
      assert.equal(await limit('the end', short.closed), 4401);
    });

    it('is told that it has none', async () => {
      const nobody = await Frames.open(kind(), address(''));
      assert.equal((await nobody.next('error')).data.code, 'unauthorized');
      assert.equal(await limit('the end', nobody.closed), 4401);
    });
  });
}
