// Back ends publish over HTTP; stock clients get it, whatever its size, and
// what is refused harms nobody.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client, matrix } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { start, workflow } from './lib/server.mjs';

let server, publisher, epoch;
before(async () => {
  server = await start();
  publisher = await server.token('service', 'default', 'publisher');
  const client = await open();
  ({ epoch } = await client.emit('join_room', 'tenant:default'));
  client.close();
});
after(async () => {
  await checkTraffic(server);
  assert.equal(await server.stop(), 0);
});

const open = (options) => Client.open(server.url, { token: server.tokens.member, ...options });
const event = (data) => ({ room: 'tenant:default', event: 'listener_event', data: { channelName: 'c', data, mode: 'append', limit: 10, timestamp: 1 } });
const publish = (body, headers = {}) => fetch(`${server.url}/api/v1/tenants/default/publish`, {
  method: 'POST', headers: { Authorization: `Bearer ${publisher}`, ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body),
});

describe('every client on every transport', { concurrency: false }, () => {
  for (const options of matrix) {
    it(`socket.io-client ${options.version} over ${options.transport}`, async () => {
      const client = await open(options);
      const { offset } = await client.emit('join_tenant', 'default');
      // Large ones among small ones, faster than they can be sent.
      const big = 'x'.repeat(1 << 20);
      const data = ['a', big, 'b', 'c', big + big, 'd'];
      const { results } = await (await publish({ messages: data.map(event) })).json();
      assert.deepEqual(results.map((r) => [r.ok, r.offset, r.epoch]), data.map((_, i) => [true, offset + i + 1, epoch]));
      for (const [i, want] of data.entries()) {
        const got = await client.next('listener_event');
        assert.equal(got.offset, offset + i + 1);
        assert.ok(got.data === want, `event ${i} has ${got.data.length} characters`);
      }
      client.close();

      // They are also there for who was away.
      const again = await open(options);
      const ack = await again.emit('join_room', { room: 'tenant:default', since: { epoch, offset } });
      assert.equal(ack.recovered, true);
      assert.deepEqual(again.received.map((e) => e.payload.data.length), data.map((d) => d.length));
      again.close();
    });
  }
});

it('refuses what is too large, and goes on', async () => {
  const client = await open();
  await client.emit('join_tenant', 'default');
  const statuses = await Promise.all([1, 33, 33, 1, 9].map(async (mib) => {
    const response = await publish(event('x'.repeat(mib << 20)));
    const body = await response.json();
    return body.error ? `${response.status} ${body.error.code}` : response.status;
  }));
  assert.deepEqual(statuses, [200, '413 PAYLOAD_TOO_LARGE', '413 PAYLOAD_TOO_LARGE', 200, '413 PAYLOAD_TOO_LARGE']);
  for (let i = 0; i < 2; i++) assert.equal((await client.next('listener_event')).data.length, 1 << 20);
  await publish(event('after'));
  assert.equal((await client.next('listener_event')).data, 'after');
  assert.equal(client.socket.connected, true);
  client.close();
});

it('publishes once what has an id or a key', async () => {
  const client = await open();
  await client.emit('join_tenant', 'default');
  const first = await publish({ ...event('once'), id: 'e2e 1' });
  const { offset } = await first.json();
  const again = await publish({ ...event('once'), id: 'e2e 1' });
  assert.deepEqual([again.headers.get('idempotent-replayed'), await again.json()], ['true', { ok: true, offset, epoch, replayed: true }]);
  const keyed = await (await publish(event('keyed'), { 'Idempotency-Key': 'e2e 2' })).json();
  assert.deepEqual(await (await publish(event('keyed'), { 'Idempotency-Key': 'e2e 2' })).json(), { ...keyed, replayed: true });
  const other = await publish(event('other'), { 'Idempotency-Key': 'e2e 2' });
  assert.equal(other.status, 409);
  await publish(event('last'));
  const got = await client.until((e) => e.payload.data === 'last');
  assert.deepEqual(got.map((e) => e.payload.data), ['once', 'keyed', 'last']);
  client.close();
});

it('reaches users, and who asks for an entity or an agent', async () => {
  const [ann, bob] = await Promise.all(['ann', 'bob'].map(async (user) => open({ token: await server.token(user) })));
  const asked = ['user:default:ann', 'entity:default:task:t-1', 'agent:default:a-1'];
  assert.deepEqual(await Promise.all(asked.map(async (room) => (await ann.emit('join_room', room)).ok)), [true, true, true]);
  assert.deepEqual(await Promise.all(asked.map(async (room) => (await bob.emit('join_room', room)).ok)), [false, true, true]);
  const task = { entityType: 'task', entityID: 't-1', status: 'completed', ownerID: 'ann' };
  const sync = { type: 'settings', entityID: 'theme', version: 7, updatedAt: '2026-01-02T10:17:25.000Z' };
  const { results } = await (await publish({ messages: [
    { room: asked[0], event: 'notification', data: { userID: 'ann', message: 'hello', level: 'info' } },
    { room: asked[1], event: 'status_update', data: task, id: 'task-1' },
    { room: asked[0], event: 'sync_update', data: sync },
    { room: asked[2], event: 'agent_status', data: { agentID: 'a-1', status: 'idle' } },
  ] })).json();
  assert.ok(results.every((r) => r.ok), JSON.stringify(results));
  assert.equal((await ann.next('notification')).message, 'hello');
  assert.equal((await ann.next('sync_update')).version, 7);
  // The owner hears of the task twice, as it asked for both rooms, and can tell.
  const [one, other] = [await ann.next('status_update'), await ann.next('status_update')];
  assert.equal(one.eventID, other.eventID);
  assert.equal((await bob.next('status_update')).eventID, one.eventID);
  for (const client of [ann, bob]) {
    assert.equal((await client.next('agent_status')).status, 'idle');
    assert.deepEqual(client.received, []);
  }
  const { body } = await server.api(await server.token('ann'), 'POST', `/tenants/default/workflows/${await workflow(server, 'Add numbers')}/execute`, { inputValues: { a: 2, b: 3 } });
  const end = await ann.next('status_update');
  assert.deepEqual([end.entityType, end.entityID, end.status, end.ownerID], ['workflow_run', body.instanceID, 'COMPLETED', 'ann']);
  ann.close();

  // What was kept is there for who comes later.
  const again = await open({ token: await server.token('ann') });
  await again.emit('join_room', { room: asked[0], since: { epoch, offset: 0 } });
  assert.deepEqual(again.received.map((e) => e.name).sort(), ['notification', 'status_update', 'sync_update']);
  assert.deepEqual(bob.received, []);
  again.close();
  bob.close();
});
