// Tokens that end while the stock client is connected: it is warned, renews in
// place without a new connection, or is told why the session ends.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client, limit, matrix } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { start } from './lib/server.mjs';

let server;
before(async () => {
  // No leeway to speak of, so that a token ends when it says so.
  server = await start({ env: { ROOMCAST_AUTH_LEEWAY: '1ms', ROOMCAST_AUTH_EXPIRYWARNING: '2s' } });
});
after(async () => {
  await checkTraffic(server);
  assert.equal(await server.stop(), 0);
});

const short = (user = 'ada', role = 'admin') => server.token(user, 'default', role, '--ttl', '4s');
const long = (user = 'ada', role = 'admin') => server.token(user, 'default', role);

// All at once: they mostly wait for a token to end.
describe('every client on every transport', { concurrency: true }, () => {
  for (const options of matrix) {
    describe(`socket.io-client ${options.version} over ${options.transport}`, { concurrency: true }, () => {
      it('renews a token in place', async () => {
        const client = await Client.open(server.url, { ...options, token: await short() });
        const { id } = client.socket;
        let reconnects = 0;
        client.socket.on('connect', () => reconnects++);
        assert.equal((await client.emit('join_room', 'tenant:default')).ok, true);
        const warning = await client.next('auth_expiring');
        assert.ok(warning.expiresIn <= 2 && Date.parse(warning.expiresAt) > Date.now() - 1000, JSON.stringify(warning));
        const ack = await client.emit('auth_refresh', { token: await long() });
        assert.deepEqual([ack.ok, ack.left], [true, []], JSON.stringify(ack));
        assert.ok(Date.parse(ack.expiresAt) > Date.now() + 3_000_000);
        // The first token has ended when one that was made after it has.
        const probe = new Client(server.url, { token: await short('probe') });
        assert.equal((await probe.next('auth_ended')).code, 'USER_AUTH_TOKEN_EXPIRED');
        assert.equal(client.socket.connected, true);
        assert.equal(client.socket.id, id, 'the same session');
        assert.equal(reconnects, 0, 'no new connection');
        assert.equal((await client.emit('join_tenant', 'default')).ok, true);
        client.close();
      });

      it('is told why the session ends, and may come back with a new token', async () => {
        const client = await Client.open(server.url, { ...options, token: await short() });
        await client.next('auth_expiring');
        assert.deepEqual(await client.next('auth_ended'), { code: 'USER_AUTH_TOKEN_EXPIRED', message: 'User auth token has expired: get a new one' });
        assert.match((await limit('the disconnect', client.closed)).reason, /io server disconnect/);
        client.close();
        const again = await Client.open(server.url, { ...options, token: await long() });
        assert.equal((await again.emit('join_tenant', 'default')).ok, true);
        again.close();
      });
    });
  }
});

describe('a session', () => {
  it('stays with its user', async () => {
    const client = await Client.open(server.url, { token: await long('bob', 'member') });
    for (const [token, code] of [[await long('eve'), 'INVALID_USER'], ['rubbish', 'USER_AUTH_TOKEN_INVALID']]) {
      assert.equal((await client.emit('auth_refresh', { token })).error.code, code);
    }
    assert.equal((await client.emit('auth_refresh', {})).error.field, 'token');
    assert.equal((await client.emit('ai_chat_room_join', { firebaseID: 'bob' })).ok, true);
    client.close();
  });

  it('of /monitor is renewed by itself, and ends with the role', async () => {
    const options = { namespace: '/monitor' };
    const client = await Client.open(server.url, { ...options, token: await short() });
    await client.next('auth_expiring');
    assert.equal((await client.emit('auth_refresh', { token: await long() })).ok, true);
    client.send('auth_refresh', { token: await long('ada', 'member') });
    assert.equal((await client.next('auth_ended')).code, 'PERMISSION_DENIED');
    client.close();
  });

  it('ends when its credential is revoked, and that outlives the server', async () => {
    const token = await long('mallory');
    const client = await Client.open(server.url, { token });
    const revoked = await server.api(server.tokens.admin, 'POST', '/revocations', { kind: 'user', id: 'mallory', reason: 'left' });
    assert.equal(revoked.status, 201, JSON.stringify(revoked.body));
    assert.equal((await client.next('auth_ended')).code, 'CREDENTIAL_REVOKED');
    await assert.rejects(new Client(server.url, { token }).connected, (e) => e.data.code === 'CREDENTIAL_REVOKED');
    await server.stop({ keep: true });
    server = await start({ data: server.data, env: { ROOMCAST_AUTH_LEEWAY: '1ms' } });
    await assert.rejects(new Client(server.url, { token }).connected, (e) => e.data.code === 'CREDENTIAL_REVOKED');
  });
});

describe('an API key', () => {
  it('is made beside the running server, lets a program in, and ends within the bound', async () => {
    const { execFileSync } = await import('node:child_process');
    const { binary } = await import('./lib/server.mjs');
    const keys = (...args) => JSON.parse(execFileSync(binary, ['keys', ...args, '--json', '--data', server.data], { cwd: server.data }));
    const made = keys('create', '--name', 'ci', '--user', 'robot');
    const client = await Client.open(server.url, { auth: { apiKey: made.apiKey } });
    assert.equal((await client.emit('join_tenant', 'default')).ok, true);
    const begun = Date.now();
    keys('disable', made.keyID);
    await assert.rejects(new Client(server.url, { auth: { apiKey: made.apiKey } }).connected, (e) => e.data.code === 'INVALID_API_KEY');
    assert.equal((await client.next('auth_ended')).code, 'CREDENTIAL_REVOKED');
    assert.ok(Date.now() - begun < 7000, 'within auth.revocationInterval');
    assert.ok(!server.log().includes(made.apiKey), 'the key is in the log');
  });
});
