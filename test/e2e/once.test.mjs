// What a client asks for with an id happens once, however often, from
// wherever and after whatever it asks.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { Client, matrix } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { start, workflow } from './lib/server.mjs';

let server, countdown, order;
before(async () => {
  server = await start();
  countdown = await workflow(server, 'Countdown');
  order = await workflow(server, 'Order approval');
});
after(async () => {
  await checkTraffic(server);
  assert.equal(await server.stop(), 0);
});

const open = (options, at = server) => Client.open(at.url, { token: at.tokens.member, ...options });
const runs = async (workflowID, at = server) =>
  (await at.api(at.tokens.member, 'GET', `/tenants/default/workflows/instances?limit=500&workflowID=${workflowID}`)).body.instances;

for (const options of matrix) {
  describe(`socket.io-client ${options.version} over ${options.transport}`, { concurrency: true }, () => {
    it('says something once, and hears the answer wherever it asks again', async () => {
      const client = await open(options);
      const begin = { clientMessageID: randomUUID() };
      const { chatRoomID } = await client.emit('ai_chat_room_join', begin);
      const message = { message: 'help', chatRoomID, tenantID: 'default', clientMessageID: `message ☕ ${chatRoomID}` };
      const ack = await client.emit('ai_chat_user_message', message);
      assert.equal(ack.ok, true, JSON.stringify(ack));
      assert.deepEqual(await client.emit('ai_chat_user_message', message), ack);
      const answer = await client.next('ai_chat_bot_message');
      const other = await client.emit('ai_chat_user_message', { ...message, message: 'list workflows' });
      assert.deepEqual([other.error.code, other.error.field], ['CONFLICT', 'clientMessageID']);
      client.close();

      // On another connection, which is in no room yet.
      const again = await open(options);
      assert.deepEqual(await again.emit('ai_chat_user_message', message), ack);
      assert.deepEqual(await again.next('ai_chat_bot_message'), answer);
      again.close();

      // A repeated beginning leads to the same conversation, and its answers.
      const third = await open(options);
      const begun = await third.emit('ai_chat_room_join', begin);
      assert.deepEqual([begun.chatRoomID, begun.messages], [chatRoomID, []]);
      assert.equal((await third.next('ai_chat_room_id')).chatRoomID, chatRoomID);
      assert.deepEqual(await third.next('ai_chat_bot_message'), answer);
      await third.emit('ai_chat_user_message', { message: 'hello', chatRoomID, tenantID: 'default' });
      assert.ok((await third.next('ai_chat_bot_message')).offset > answer.offset);
      assert.equal((await third.emit('ai_chat_room_join', { chatRoomID })).messages.length, 4);
      assert.deepEqual(third.received.map((e) => e.name), ['ai_chat_member_message', 'ai_chat_member_message', 'ai_chat_room_id']);
      third.close();
    });

    it('starts, feeds and refreshes a run once', async () => {
      const widgetID = randomUUID();
      const connect = { widgetID, workflowID: order, inputParams: { amount: 1200 }, clientMessageID: randomUUID() };
      const client = await open(options);
      const ack = await client.emit('widget_workflow_connect', connect);
      await client.next('workflow_data_collection_request');
      assert.deepEqual(await client.emit('widget_workflow_connect', connect), ack);
      client.close();

      // Elsewhere the widget is bound to the run that the first has started.
      const again = await open(options);
      assert.deepEqual(await again.emit('widget_workflow_connect', connect), ack);
      const connected = await again.next('widget_workflow_connected');
      assert.deepEqual([connected.instanceID, connected.mode], [ack.instanceID, 'execute']);
      await again.next('workflow_data_collection_request');
      const input = { widgetID, inputType: 'form_submit', data: { approved: true }, clientMessageID: 'in' + widgetID };
      const taken = await again.emit('widget_send_input', input);
      assert.equal(taken.ok, true, JSON.stringify(taken));
      assert.equal((await again.next('widget_workflow_status')).status, 'COMPLETED');
      // The run is over and takes no input, but this has been given.
      assert.deepEqual(await again.emit('widget_send_input', input), taken);
      again.received.length = 0;

      const refresh = { widgetID, clientMessageID: randomUUID() };
      const fresh = await again.emit('widget_refresh', refresh);
      assert.notEqual(fresh.instanceID, ack.instanceID);
      assert.deepEqual(await again.emit('widget_refresh', refresh), fresh);
      assert.equal(again.received.filter((e) => e.name === 'widget_workflow_connected').length, 1);
      again.close();
    });
  });
}

it('knows after a restart what was done before', async () => {
  const first = await start();
  const workflowID = await workflow(first, 'Countdown');
  const connect = { widgetID: randomUUID(), workflowID, inputParams: { stepMs: 1 }, clientMessageID: 'the run' };
  const client = await open({}, first);
  const ack = await client.emit('widget_workflow_connect', connect);
  await client.next('widget_workflow_status');
  await first.stop({ keep: true });
  const second = await start({ data: first.data });
  const again = await open({}, second);
  assert.deepEqual(await again.emit('widget_workflow_connect', connect), ack);
  assert.equal((await again.next('widget_workflow_status')).status, 'COMPLETED');
  assert.equal((await runs(workflowID, second)).length, 1);
  again.close();
  assert.equal(await second.stop(), 0);
});

it('does nothing twice when the server is killed in the middle', async () => {
  const env = { ROOMCAST_SOCKET_HANDLERTIMEOUT: '500ms' };
  let at = await start({ env });
  const data = at.data;
  const workflowID = await workflow(at, 'Add numbers');
  const chat = (await (await open({}, at)).emit('ai_chat_room_join')).chatRoomID;
  const wanted = Array.from({ length: 30 }, (_, n) => [
    ['widget_workflow_connect', { widgetID: randomUUID(), workflowID, inputParams: { a: n, b: 1 }, clientMessageID: `run ${n}` }],
    ['ai_chat_user_message', { chatRoomID: chat, message: `message ${n}`, tenantID: 'default', clientMessageID: `message ${n}` }],
  ]).flat();
  const acks = new Map();
  const settle = (key, ack) => {
    if (!ack.ok) return; // too many wait for an answer, or the first is still at it
    if (acks.has(key)) assert.deepEqual(ack, acks.get(key));
    acks.set(key, ack);
  };
  for (let round = 0; round < 3; round++) {
    const client = await open({}, at);
    let killed = false;
    for (const [event, payload] of wanted) {
      client.socket.emit(event, payload, (ack) => {
        settle(payload.clientMessageID, ack);
        if (!killed && acks.size > 10 * (round + 1)) {
          killed = true;
          at.signal('SIGKILL');
        }
      });
    }
    await at.exited;
    client.close();
    at = await start({ data, env });
  }
  // What was under way is taken up again when its lease is over.
  const client = await open({}, at);
  for (const end = Date.now() + 20_000; acks.size < wanted.length; ) {
    assert.ok(Date.now() < end, `${acks.size} of ${wanted.length} were acknowledged`);
    for (const [event, payload] of wanted) {
      if (!acks.has(payload.clientMessageID)) settle(payload.clientMessageID, await client.emit(event, payload));
    }
  }
  const ids = new Set([...acks].filter(([key]) => key.startsWith('run')).map(([, ack]) => ack.instanceID));
  assert.equal(ids.size, 30);
  const all = await runs(workflowID, at);
  assert.deepEqual(new Set(all.map((r) => r.instanceID)), ids, 'the runs that were acknowledged, and no others');
  const offsets = [...acks].filter(([key]) => key.startsWith('message')).map(([, ack]) => ack.offset);
  assert.equal(new Set(offsets).size, 30);
  // Every message has one answer: 60 in all.
  const last = await open({}, at);
  let answers = 0;
  await last.emit('ai_chat_room_join', { chatRoomID: chat, since: { epoch: [...acks.values()][0].epoch, offset: 0 } });
  await last.until((e) => e.name === 'ai_chat_bot_message' && ++answers === 30 && e.payload.offset <= 60);
  client.close();
  last.close();
  assert.equal(await at.stop({ keep: true }), 0);
  await rm(data, { recursive: true, force: true });
});
