// Two servers behind nginx and behind HAProxy, with the configurations of the
// operating guide: every client on every transport, and what does not work
// without stickiness.
import assert from 'node:assert/strict';
import { copyFile, mkdtemp } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client, limit, matrix } from './lib/client.mjs';
import { names, startProxy } from './lib/proxy.mjs';
import { start } from './lib/server.mjs';

// Browsers use one connection to the proxy for many requests; each of the
// clients of these tests has an address of its own.
let address = 1;
const agent = () => new Agent({ keepAlive: true, localAddress: `127.0.0.${++address}` });

// pair returns two servers that accept the same tokens. Before they end they
// wait until a proxy that looks at them has noticed.
async function pair(drainDelay) {
  const env = { ROOMCAST_SERVER_TRUSTEDPROXIES: '127.0.0.1', ROOMCAST_SERVER_DRAINDELAY: drainDelay, ROOMCAST_SERVER_DRAINWINDOW: '1s' };
  const first = await start({ env });
  const data = await mkdtemp(join(tmpdir(), 'roomcast-'));
  await copyFile(join(first.data, 'dev-secret'), join(data, 'dev-secret'));
  return [first, await start({ data, env })];
}

const handshake = (url) => new Promise((resolve, reject) => {
  get(`${url}/socket.io/?EIO=4&transport=polling`, { agent: agent() }, (response) => {
    response.resume().on('end', () => resolve(response.statusCode));
  }).on('error', reject);
});

const metric = async (server, name) => {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(text.match(new RegExp(`^roomcast_${name} (.*)$`, 'm'))[1]);
};

const ready = async (server) => {
  while (!(await fetch(`${server.url}/health/ready`)).ok);
};

for (const name of names) {
  describe(`behind ${name}`, () => {
    let servers, proxy, stopped;
    before(async () => {
      servers = await pair('3s');
      await Promise.all(servers.map(ready));
      proxy = await startProxy(name, servers);
    });
    after(() => Promise.all([proxy.stop(), ...servers.filter((server) => server !== stopped).map((server) => server.stop())]));

    it('spreads clients over the servers', async () => {
      for (let i = 0; i < 30; i++) assert.equal(await handshake(proxy.url), 200);
      for (const server of servers) assert.ok((await metric(server, 'connections_opened_total')) > 0, 'a server is left out');
    });

    for (const options of matrix) {
      it(`serves socket.io-client ${options.version} over ${options.transport}`, async () => {
        const clients = await Promise.all([0, 1, 2].map(() => Client.open(proxy.url, { ...options, token: servers[0].tokens.member, more: { agent: agent() } })));
        for (const client of clients) {
          assert.equal((await client.emit('join_room', 'tenant:default')).ok, true);
          const engine = client.socket.io.engine;
          if (options.transport === 'upgrade' && engine.transport.name !== 'websocket') {
            await limit('the upgrade', new Promise((resolve) => engine.once('upgrade', resolve)));
          }
          assert.equal(engine.transport.name, options.transport === 'polling' ? 'polling' : 'websocket');
          assert.equal((await client.emit('join_tenant', 'default')).ok, true);
          client.close();
        }
      });
    }

    it('passes the address of the client on', async () => {
      assert.equal((await fetch(`${proxy.url}/metrics`)).status, 403, 'metrics are for this machine');
    });

    it('sends clients to the other server when one stops', async () => {
      const more = () => ({ agent: agent(), reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 500 });
      const clients = [];
      for (const transport of ['polling', 'websocket']) {
        for (let i = 0; i < 6; i++) clients.push(await Client.open(proxy.url, { transport, token: servers[0].tokens.member, more: more() }));
      }
      const busiest = (await metric(servers[0], 'sessions')) >= (await metric(servers[1], 'sessions')) ? 0 : 1;
      stopped = servers[busiest];
      const moved = await metric(stopped, 'sessions');
      assert.ok(moved > 0);
      assert.equal(await stopped.stop(), 0);
      const other = servers[1 - busiest];
      await limit('all clients at the other server', (async () => {
        while ((await metric(other, 'sessions')) < clients.length) await new Promise((resolve) => setTimeout(resolve, 50));
      })());
      for (const client of clients) {
        assert.equal((await client.emit('join_room', 'tenant:default')).ok, true);
        client.close();
      }
    });
  });

  describe(`behind ${name} without stickiness`, () => {
    let servers, proxy;
    before(async () => {
      servers = await pair('0s');
      await Promise.all(servers.map(ready));
      proxy = await startProxy(name, servers, { sticky: false });
    });
    after(() => Promise.all([proxy, ...servers].map((part) => part.stop())));

    it('polling fails: the other server does not know the connection', async () => {
      const client = new Client(proxy.url, { transport: 'polling', token: servers[0].tokens.member });
      await assert.rejects(limit('the failure', Promise.race([client.connected, client.closed.then(({ reason }) => Promise.reject(new Error(reason)))])));
      client.close();
      // What the client met.
      const open = await (await fetch(`${proxy.url}/socket.io/?EIO=4&transport=polling`)).text();
      const { sid } = JSON.parse(open.slice(1));
      const answers = await Promise.all([1, 2].map(() => fetch(`${proxy.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`, { method: 'POST', body: '3' })));
      const bad = answers.find((answer) => answer.status === 400);
      assert.ok(bad, 'a server answered for a connection of the other');
      assert.deepEqual(await bad.json(), { code: 1, message: 'Session ID unknown' });
    });

    for (const version of [4, 3, 2]) {
      it(`socket.io-client ${version} with WebSockets alone works`, async () => {
        for (let i = 0; i < 3; i++) {
          const client = await Client.open(proxy.url, { version, transport: 'websocket', token: servers[0].tokens.member });
          assert.equal((await client.emit('join_room', 'tenant:default')).ok, true);
          client.close();
        }
      });
    }
  });
}
