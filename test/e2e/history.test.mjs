// Coming back to a room with what one has of it: nothing is missing, nothing
// comes twice, and what cannot come is told.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { Client, matrix } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { start, workflow } from './lib/server.mjs';

let server, countdown;
before(async () => {
  server = await start({ env: { ROOMCAST_HISTORY_COUNT: '200' } });
  countdown = await workflow(server, 'Countdown');
});
after(async () => {
  await checkTraffic(server);
  assert.equal(await server.stop(), 0);
});

const open = (options) => Client.open(server.url, { token: server.tokens.member, ...options });
const api = async (method, path, body) => {
  const answer = await server.api(server.tokens.admin, method, path, body);
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return answer.body;
};
const listener = async () => (await api('POST', '/tenants/default/listeners', { title: 'L' })).listenerID;
const publish = async (id, n) => {
  for (let i = 0; i < n; i++) await api('POST', `/tenants/default/listeners/${id}/events`, { data: i });
};
const offsets = (events) => events.map((e) => e.payload.offset ?? `${e.name} ${e.payload.from}-${e.payload.to} ${e.payload.reason}`);
const upTo = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

for (const options of matrix) {
  describe(`socket.io-client ${options.version} over ${options.transport}`, { concurrency: true }, () => {
    it('comes back to a room', async () => {
      const id = await listener();
      const room = `listener:${id}`;
      const client = await open(options);
      const ack = await client.emit('join_room', room);
      assert.deepEqual([ack.ok, ack.recovered, ack.offset], [true, false, 0]);
      await publish(id, 2);
      assert.deepEqual(offsets(await client.until((e) => e.payload.offset === 2)), [1, 2]);
      client.close();
      await publish(id, 3);

      const again = await open(options);
      const back = await again.emit('join_room', { room, since: { epoch: ack.epoch, offset: 2 } });
      assert.deepEqual([back.ok, back.recovered, back.offset, back.epoch], [true, true, 5, ack.epoch]);
      assert.deepEqual(offsets(again.received.splice(0)), [3, 4, 5], 'before the acknowledgement');
      await publish(id, 1);
      assert.deepEqual(offsets(await again.until((e) => e.payload.offset === 6)), [6]);
      // Joining again repeats nothing.
      assert.equal((await again.emit('join_room', { room, since: { epoch: ack.epoch, offset: 4 } })).recovered, true);
      assert.equal((await again.emit('join_room', { room, since: null })).recovered, false);
      assert.deepEqual(again.received, []);
      again.close();
    });

    it('comes back to a run', async () => {
      const { instanceID } = await api('POST', `/tenants/default/workflows/${countdown}/execute`, { inputValues: { stepMs: 20 } });
      const client = await open(options);
      const ack = await client.emit('workflow_run_join', { runId: instanceID });
      const seen = await client.until((e) => e.payload.nodeID === 'two');
      client.close();
      const offset = seen.at(-1).payload.offset;
      assert.ok(offset > 0 && ack.epoch);
      const again = await open(options);
      const back = await again.emit('workflow_run_join', { runId: instanceID, since: { epoch: ack.epoch, offset } });
      assert.deepEqual([back.ok, back.recovered], [true, true]);
      const rest = await again.until((e) => e.name === 'workflow_status_update');
      assert.deepEqual(rest.map((e) => e.payload.nodeID ?? e.payload.status), ['one', 'lift-off', 'end', 'COMPLETED']);

      // Who has all of it gets nothing; who names another history all.
      const over = await open(options);
      const { offset: last } = await over.emit('workflow_run_join', { runId: instanceID, since: { epoch: ack.epoch, offset: rest.at(-1).payload.offset } });
      assert.equal(last, rest.at(-1).payload.offset);
      assert.deepEqual(over.received, []);
      const lost = await open(options);
      assert.equal((await lost.emit('workflow_run_join', { runId: instanceID, since: { epoch: 'another', offset: 2 } })).recovered, false);
      assert.deepEqual(offsets(lost.received.slice(0, 1)), ['gap 0-0 epoch']);
      assert.equal(lost.received.length, 1 + 7);
      for (const c of [again, over, lost]) c.close();
    });

    it('comes back to a conversation', async () => {
      const client = await open(options);
      const { chatRoomID, epoch } = await client.emit('ai_chat_room_join');
      await client.emit('ai_chat_user_message', { message: 'help', chatRoomID, tenantID: 'default' });
      const { offset } = await client.next('ai_chat_bot_message');
      await client.emit('ai_chat_user_message', { message: 'list workflows', chatRoomID, tenantID: 'default' });
      client.close(); // without waiting for the answer

      const again = await open(options);
      const ack = await again.emit('ai_chat_room_join', { chatRoomID, since: { epoch, offset } });
      assert.deepEqual([ack.ok, ack.recovered], [true, true]);
      const answer = await again.next('ai_chat_bot_message');
      assert.match(answer.text, /Countdown/);
      assert.equal(answer.offset, offset + 2);
      assert.deepEqual(again.received.map((e) => [e.name, e.payload.offset]), [['ai_chat_room_id', undefined], ['ai_chat_member_message', offset + 1]]);
      again.close();
    });

    it('comes back to a widget', async () => {
      const widgetID = randomUUID();
      const client = await open(options);
      const { instanceID, epoch } = await client.emit('widget_workflow_connect', { widgetID, workflowID: countdown, mode: 'execute', inputParams: { stepMs: 20 } });
      const { offset } = await client.next('workflow_node_update', (p) => p.nodeID === 'two');
      client.close();
      const again = await open(options);
      const ack = await again.emit('widget_workflow_connect', { widgetID, instanceID, mode: 'subscribe', since: { epoch, offset } });
      assert.deepEqual([ack.ok, ack.recovered, ack.instanceID], [true, true, instanceID]);
      const got = await again.until((e) => e.name === 'workflow_status_update');
      if (!got.some((e) => e.name === 'widget_workflow_status')) await again.next('widget_workflow_status');
      const nodes = (name, of) => got.filter((e) => e.name === name).map(of);
      assert.equal(got[0].name, 'widget_workflow_connected');
      assert.deepEqual(nodes('workflow_node_update', (e) => e.payload.nodeID), ['one', 'lift-off', 'end']);
      assert.deepEqual(nodes('widget_context_update', (e) => e.payload.update.nodeID), ['one', 'lift-off', 'end']);
      again.close();
    });
  });
}

it('is told of what was trimmed, and of offsets that nobody gave out', async () => {
  const id = await listener();
  const room = `listener:${id}`;
  await publish(id, 210);
  const client = await open();
  const { epoch } = await client.emit('join_room', room);
  // Trimming comes in its own time.
  let ack;
  for (const end = Date.now() + 15_000; ack?.recovered !== false; ) {
    assert.ok(Date.now() < end, 'nothing is trimmed');
    await client.emit('leave_room', room);
    client.received.length = 0;
    ack = await client.emit('join_room', { room, since: { epoch, offset: 5 } });
  }
  assert.deepEqual(offsets(client.received.splice(0)), ['gap 6-10 trimmed', ...upTo(11, 210)]);
  await client.emit('leave_room', room);
  assert.equal((await client.emit('join_room', { room, since: { epoch, offset: 300 } })).recovered, false);
  assert.deepEqual(offsets(client.received.splice(0)), ['gap 211-300 unknown']);
  await client.emit('leave_room', room);
  assert.equal((await client.emit('join_room', { room, since: { epoch: randomUUID(), offset: 209 } })).recovered, false);
  assert.deepEqual(offsets(client.received.splice(0)), ['gap 0-10 epoch', ...upTo(11, 210)]);
  client.close();
});

it('keeps the numbers when it restarts', async () => {
  const first = await start();
  const events = async (s, id) => (await s.api(s.tokens.admin, 'POST', `/tenants/default/listeners/${id}/events`, { data: 1 })).body;
  const { body } = await first.api(first.tokens.admin, 'POST', '/tenants/default/listeners', { title: 'L' });
  const one = await events(first, body.listenerID);
  await first.stop({ keep: true });
  const second = await start({ data: first.data });
  const two = await events(second, body.listenerID);
  assert.deepEqual([one.offset, two.offset, two.epoch], [1, 2, one.epoch]);
  assert.equal(await second.stop(), 0);
});
