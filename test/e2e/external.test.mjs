// Runs that go on elsewhere: an engine reports over HTTP, and stock clients see
// a run like any other.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client, limit } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { root, start } from './lib/server.mjs';

let server, engine;
before(async () => {
  server = await start();
  engine = await server.token('engine', 'default', 'publisher');
});
after(async () => {
  await checkTraffic(server);
  assert.equal(await server.stop(), 0);
});

const open = (options, at = server) => Client.open(at.url, { token: at.tokens.member, ...options });
const runs = '/tenants/default/runs';
const announce = async () => {
  const { status, body } = await server.api(engine, 'POST', runs, { title: 'Elsewhere', inputValues: { n: 1 } });
  assert.equal(status, 201);
  return body.instanceID;
};
const report = (instanceID, from, ...events) => server.api(engine, 'POST', `${runs}/${instanceID}/events`, {
  events: events.map((event, i) => ({ sequence: from + i, ...event })),
});
const node = (n, more) => ({ type: 'node_update', nodeID: `n${n}`, nodeType: 'task', status: 'success', output: { n }, outputVariable: 'last', ...more });
const end = { type: 'status_update', status: 'COMPLETED', output: 'done' };
const form = {
  type: 'data_collection_request', nodeID: 'ask',
  collectionConfig: { title: 'How many?', outputVariable: 'many', formSchema: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } },
};

describe('every client', { concurrency: false }, () => {
  for (const version of [4, 3, 2]) {
    it(`socket.io-client ${version} follows a run and answers it, and so do widgets`, async () => {
      const instanceID = await announce();
      const client = await open({ version });
      const widgetID = randomUUID();
      assert.equal((await client.emit('workflow_run_join', { runId: instanceID })).status, 'PENDING');
      const viewer = await open({ version });
      viewer.send('widget_workflow_connect', { widgetID, instanceID, mode: 'subscribe' });
      assert.equal((await viewer.next('widget_workflow_connected')).instanceID, instanceID);

      assert.deepEqual((await report(instanceID, 1, node(1), node(2, { status: 'failed', error: 'too hot' }))).body, { accepted: 2, repeated: 0, offset: 3, next: 3 });
      assert.deepEqual((await report(instanceID, 2, node(2, { status: 'failed', error: 'too hot' }), form)).body, { accepted: 1, repeated: 1, offset: 4, next: 4 });
      const { collectionRequestID } = await client.next('workflow_data_collection_request');

      // The engine waits for what people say, from a form and from a widget.
      const waiting = server.api(engine, 'GET', `${runs}/${instanceID}/events?after=4&wait=20s`);
      viewer.send('widget_send_input', { widgetID, inputType: 'form_submit', data: { n: 'many' } });
      assert.match((await viewer.next('widget_workflow_error')).error.message, /data\.n/);
      const submitted = await server.api(server.tokens.member, 'POST', '/tenants/default/workflows/data-collection', { collectionRequestID, submittedData: { n: 3 } });
      assert.equal(submitted.status, 200);
      const { entries, next } = (await waiting).body;
      assert.deepEqual(entries.map((e) => [e.seq, e.type, e.nodeID, e.data.output]), [[5, 'NODE_COMPLETED', 'ask', { n: 3 }]]);
      viewer.send('widget_send_input', { widgetID, inputType: 'user_action', data: { button: 'more' } });
      const { body: more } = await server.api(engine, 'GET', `${runs}/${instanceID}/events?after=${next}&wait=20s`);
      assert.deepEqual(more.entries.map((e) => [e.type, e.data.key]), [['SYSTEM_SET', '__widgetInput']]);

      await report(instanceID, 4, end);
      const seen = await client.until((e) => e.name === 'workflow_status_update');
      assert.deepEqual(seen.map((e) => [e.payload.offset, e.payload.nodeID ?? e.payload.status]), [[2, 'n1'], [3, 'n2'], [5, 'ask'], [7, 'COMPLETED']]);
      assert.deepEqual(seen.at(-1).payload.contextData, { input: { n: 1 }, last: { n: 2 }, many: { n: 3 } });
      const status = await viewer.next('widget_workflow_status');
      assert.deepEqual([status.instanceID, status.status], [instanceID, 'COMPLETED']);
      const changes = viewer.received.filter((e) => e.name === 'widget_context_update').map(({ payload: { update: u } }) => [u.nodeID, u.nodeType, u.status]);
      assert.deepEqual(changes, [['n1', 'task', 'success'], ['n2', 'task', 'failed'], ['ask', 'dataCollection', 'success']]);

      // Who comes later gets the same.
      const late = await open({ version });
      assert.equal((await late.emit('workflow_run_join', { runId: instanceID })).status, 'COMPLETED');
      assert.deepEqual(late.received.filter((e) => e.name !== 'workflow_data_collection_request'), seen);
      for (const c of [client, viewer, late]) c.close();
    });
  }
});

it('refuses gaps, other content under a number, and what comes after the end', async () => {
  const instanceID = await announce();
  const refused = async (from, ...events) => {
    const { status, body: { error } } = await report(instanceID, from, ...events);
    return [status, error.code, error.field, error.expected];
  };
  assert.deepEqual(await refused(2, node(2)), [409, 'CONFLICT', 'events[0].sequence', 1]);
  assert.deepEqual(await refused(1, node(1), { ...node(2), nodeName: 'x' }), [400, 'VALIDATION_ERROR', 'events[1].nodeName', undefined]);
  assert.deepEqual(await refused(1, node(1), { ...node(2), nodeID: 7 }), [400, 'VALIDATION_ERROR', 'events[1].nodeID', undefined]);
  assert.deepEqual(await refused(-1, node(1)), [400, 'VALIDATION_ERROR', 'events[0].sequence', undefined]);
  assert.deepEqual(await refused(1, form, { ...form, collectionConfig: { expiryMinutes: 'soon' } }), [400, 'VALIDATION_ERROR', 'events[1].collectionConfig.expiryMinutes', undefined]);
  assert.deepEqual(await refused(1, ...Array(1001).fill(node(1))), [400, 'VALIDATION_ERROR', 'events', undefined]);
  assert.deepEqual(await refused(1, node(1), node('x'.repeat(9 << 20))), [413, 'PAYLOAD_TOO_LARGE', undefined, undefined]);
  assert.equal((await report(instanceID, 1, node(1))).body.accepted, 1);
  assert.deepEqual(await refused(1, node(2)), [409, 'CONFLICT', 'events[0]', undefined]);
  assert.equal((await server.api(server.tokens.admin, 'DELETE', `/tenants/default/workflows/instances/${instanceID}/stop`)).status, 200);
  const { status, body } = await report(instanceID, 2, node(2));
  assert.deepEqual([status, body.error.message], [409, `run ${instanceID} is STOPPED and takes no events`]);
  const { body: { entries } } = await server.api(engine, 'GET', `${runs}/${instanceID}/events?after=2&wait=30s`);
  assert.deepEqual(entries.map((e) => [e.type, e.data.status]), [['RUN_ENDED', 'STOPPED']]);
});

it('is announced once', async () => {
  const instanceID = randomUUID();
  const send = (token, more) => server.api(token, 'POST', runs, { instanceID, title: 'Once', ...more });
  for (let i = 0; i < 2; i++) assert.deepEqual(await send(engine), { status: 201, body: { instanceID } });
  assert.equal((await send(engine, { title: 'Twice' })).body.error.field, 'instanceID');
  assert.equal((await send(server.tokens.member)).status, 403);
  const keyed = () => fetch(`${server.url}/api/v1${runs}`, {
    method: 'POST', headers: { Authorization: `Bearer ${engine}`, 'Idempotency-Key': 'announce 1' }, body: '{"title":"Keyed","nodes":[{"id":"a","type":"task","data":{}}]}',
  }).then((r) => r.json());
  assert.deepEqual(await keyed(), await keyed());
  assert.equal((await server.api(engine, 'GET', `/tenants/default/workflows/instances/${instanceID}`)).status, 404, 'PUBLISHER sees nothing else');
});

it('loses nothing and repeats nothing when the server is killed in the middle', async () => {
  const total = 1000;
  let at = await start();
  const { data } = at;
  let up = Promise.resolve();
  let token = await at.token('engine', 'default', 'publisher');
  // call repeats a request until it is answered.
  const call = async (path, body) => {
    for (;;) {
      await up;
      const answer = await at.api(token, 'POST', path, body).catch(() => null);
      if (answer && answer.status < 500) return answer.body;
    }
  };
  const instanceID = randomUUID();
  await call(runs, { instanceID, title: 'Killed' });

  // A client that comes back goes on where it was.
  const got = [];
  let epoch;
  const follow = async () => {
    for (;;) {
      await up;
      const client = await open({}, at).catch(() => null);
      if (!client) continue;
      client.socket.on('workflow_node_update', (p) => got.push(p));
      const ended = new Promise((resolve) => client.socket.on('workflow_status_update', (p) => resolve(got.push(p))));
      const join = { runId: instanceID, ...(epoch && { since: { epoch, offset: got.at(-1)?.offset ?? 0 } }) };
      client.socket.emit('workflow_run_join', join, (ack) => ({ epoch } = ack));
      const over = await Promise.race([ended, client.closed.then(() => false)]);
      client.close();
      if (over) return;
    }
  };
  const followed = follow();

  let kills = 0;
  for (let from = 1; from <= total; ) {
    const events = [];
    for (let n = from; n <= Math.min(total, from + (from % 7)); n++) events.push({ sequence: n, ...node(n) });
    const answer = call(`${runs}/${instanceID}/events`, { events });
    if (from > 250 * (kills + 1)) {
      kills++;
      const before = at;
      up = (async () => {
        before.signal('SIGKILL'); // the report is under way
        await before.exited;
        at = await start({ data });
        token = await at.token('engine', 'default', 'publisher');
      })();
    }
    const { next, error } = await answer;
    assert.equal(error, undefined);
    from = next;
  }
  assert.equal(kills, 3);
  assert.equal((await call(`${runs}/${instanceID}/events`, { events: [{ sequence: total + 1, ...end }] })).next, total + 2);
  await limit('the end of the run', followed, 30_000);
  assert.deepEqual(got.map((p) => [p.offset, p.nodeID ?? p.status]), [...Array.from({ length: total }, (_, i) => [i + 2, `n${i + 1}`]), [total + 2, 'COMPLETED']]);
  assert.equal(await at.stop(), 0);
});

it('does not keep a server from stopping that an engine waits for news', async () => {
  const other = await start();
  const token = await other.token('engine', 'default', 'publisher');
  const { body: { instanceID } } = await other.api(token, 'POST', runs, { title: 'Waiting' });
  const waiting = other.api(token, 'GET', `${runs}/${instanceID}/events?after=1&wait=60s`);
  // By the answer to what is sent after it, the server has it too.
  await other.api(token, 'GET', `${runs}/${instanceID}/events`);
  const began = Date.now();
  const [answer, code] = await Promise.all([waiting, other.stop()]);
  assert.deepEqual([answer.body, code], [{ entries: [], next: 1 }, 0]);
  assert.ok(Date.now() - began < 10_000);
});

it('works as the documentation shows', async () => {
  const text = await readFile(join(root, 'docs/workflows.md'), 'utf8');
  const [, code] = text.match(/## Engines elsewhere[\s\S]*?```js\n([\s\S]*?)```/);
  const file = join(server.data, 'engine.mjs');
  await writeFile(file, code);
  let output = '';
  const child = execFile(process.execPath, [file], { env: { ...process.env, URL: server.url, TOKEN: engine }, timeout: 20_000 });
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const instanceID = await limit('its run', (async () => {
    for (;;) {
      const { body } = await server.api(server.tokens.member, 'GET', '/tenants/default/workflows/instances');
      const run = body.instances.find((r) => r.workflowTitle === 'Night shift');
      if (run) return run.instanceID;
    }
  })());
  const client = await open();
  await client.emit('workflow_run_join', { runId: instanceID });
  const { collectionRequestID } = await client.next('workflow_data_collection_request');
  await server.api(server.tokens.member, 'POST', '/tenants/default/workflows/data-collection', { collectionRequestID, submittedData: { shutDown: true } });
  assert.equal((await client.next('workflow_status_update')).status, 'COMPLETED');
  assert.equal(await exited, 0, output);
  assert.match(output, /people say: {"shutDown":true}/);
  client.close();
  await rm(file);
});
