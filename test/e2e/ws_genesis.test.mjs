// The dialect genesis: its documented snippets as they are, with the package ws
// and in a browser, and clients of three kinds beside one of Socket.IO.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Parser } from '@asyncapi/parser';
import WebSocket from 'ws';
import { openBrowser } from './lib/browser.mjs';
import { Client, limit } from './lib/client.mjs';
import { Frames, browser, node, python } from './lib/frames.mjs';
import { root, start } from './lib/server.mjs';

// What the documents show.
const connect = `
const ws = new WebSocket('ws://localhost:3000/ws', {
headers: {
'Authorization': \`Bearer \${JWT_TOKEN}\`,
'X-Agent-ID': AGENT_ID,
},
});
`;
const subscribeChannels = `
ws.send(JSON.stringify({
type: 'subscribe',
payload: {
channels: ['workflow:wf-123', 'sync:user-456'],
},
}));
`;
const execute = `
ws.send(JSON.stringify({
type: 'execute_workflow',
payload: {
workflowId: 'wf-123',
input: { data: 'value' },
},
correlationId: 'req-789',
}));
`;
const receive = `
ws.onmessage = (event) => {
const message = JSON.parse(event.data);
switch (message.type) {
case 'workflow_started':
console.log('Workflow started:', message.payload);
break;
case 'workflow_completed':
console.log('Workflow completed:', message.payload);
break;
case 'error':
console.error('Error:', message.payload);
break;
}
};
`;
const heartbeat = `
// Envoyer un ping toutes les 30 secondes
setInterval(() => {
ws.send(JSON.stringify({
type: 'ping',
timestamp: Date.now(),
}));
}, 30000);
// Recevoir le pong
ws.onmessage = (event) => {
const message = JSON.parse(event.data);
if (message.type === 'pong') {
console.log('Latency:', Date.now() - message.timestamp);
}
};
`;

const workflow = {
  nodes: [
    { id: 'start', type: 'start', data: {} },
    { id: 'shout', type: 'transform', data: { expression: 'upper(input.data)', outputVariable: 'loud' } },
    { id: 'pause', type: 'delay', data: { delayType: 'fixed', delayMs: 20 } },
    { id: 'end', type: 'end', data: { outputParameters: [{ name: 'loud', sourceVariable: 'loud' }] } },
  ],
  edges: [{ source: 'start', target: 'shout' }, { source: 'shout', target: 'pause' }, { source: 'pause', target: 'end' }],
};

const asking = {
  nodes: [
    { id: 'start', type: 'start', data: {} },
    { id: 'ask', type: 'dataCollection', data: { title: 'How many?', outputVariable: 'asked', formSchema: { type: 'object', properties: { n: { type: 'number' } } } } },
  ],
  edges: [{ source: 'start', target: 'ask' }],
};

let server, context, page, token, publisher;
before(async () => {
  server = await start();
  const { status, body } = await server.api(server.tokens.admin, 'PUT', '/tenants/default/workflows/wf-123', workflow);
  assert.equal(status, 201, JSON.stringify(body));
  token = await server.token('user-456');
  publisher = await server.token('service', 'default', 'publisher');
  context = await openBrowser();
  page = await context.newPage();
  await page.goto(server.url);
});
after(async () => {
  await context?.close();
  assert.equal(await server.stop(), 0);
});

const address = (path) => server.url.replace('http', 'ws') + path;

// run runs a snippet with what it finds around it.
const run = (snippet, around) => new Function(...Object.keys(around), snippet)(...Object.values(around));

// Here is the package ws, at the address that the test has.
class Here extends WebSocket {
  constructor(url, options) {
    super(url.replace('ws://localhost:3000', address('')), options);
  }
}

// heard is a console, and what was said to it.
function listen() {
  const lines = [];
  let waiting = [];
  const say = (...line) => {
    lines.push(line);
    waiting = waiting.filter(({ text, resolve }) => (line[0] === text ? resolve(line[1]) : true));
  };
  const until = (text) => limit(`${text} ${JSON.stringify(lines)}`, new Promise((resolve) => {
    const line = lines.find((l) => l[0] === text);
    if (line) resolve(line[1]);
    else waiting.push({ text, resolve: (value) => void resolve(value) });
  }));
  return { console: { log: say, error: say }, lines, until };
}

describe('the documented snippets', { concurrency: false }, () => {
  it('work with the package ws', async () => {
    const ws = run(`${connect} return ws;`, { WebSocket: Here, JWT_TOKEN: token, AGENT_ID: 'agent-7' });
    await limit('the connection', new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject)));
    const { console, lines, until } = listen();
    run(receive, { ws, console });
    run(subscribeChannels, { ws });
    run(execute, { ws });
    const started = await until('Workflow started:');
    assert.equal(started.workflowId, 'wf-123');
    assert.ok(Math.abs(started.startedAt - Date.now()) < 60_000);
    const completed = await until('Workflow completed:');
    assert.equal(completed.executionId, started.executionId);
    assert.deepEqual(completed.result, { loud: 'VALUE' });
    assert.ok(completed.duration >= 20, `${completed.duration} ms`);

    const beats = [];
    run(heartbeat, { ws, console, setInterval: (fn, every) => (beats.push(every), fn()) });
    const latency = await until('Latency:');
    assert.ok(latency >= 0 && latency < 5000, `${latency} ms`);
    assert.deepEqual(beats, [30000]);
    // Subscribed and requested: each frame came once, and nothing was wrong.
    assert.deepEqual(lines.map(([text]) => text), ['Workflow started:', 'Workflow completed:', 'Latency:']);
    ws.close();
  });

  it('work in a browser, with the token in the address', async () => {
    const lines = await page.evaluate(`new Promise((resolve, reject) => {
      const lines = [];
      const say = (...line) => {
        lines.push(line);
        if (line[0] === 'Workflow completed:') beat();
        if (line[0] === 'Latency:' || line[0] === 'Error:') resolve(lines);
      };
      const console = { log: say, error: say };
      const setInterval = (fn) => fn();
      const ws = new WebSocket('${address('/ws')}?token=${token}');
      const beat = () => { ${heartbeat} };
      ws.onerror = () => reject(new Error('no connection'));
      ws.onopen = () => { ${receive} ${subscribeChannels} ${execute} };
    })`);
    assert.deepEqual(lines.map(([text]) => text), ['Workflow started:', 'Workflow completed:', 'Latency:']);
    assert.deepEqual(lines[1][1].result, { loud: 'VALUE' });
  });
});

const kinds = { 'ws of Node': () => node, 'websockets of Python': () => python('ws_service.py'), 'WebSocket of a browser': () => browser(page) };

// story is all frames of a run up to its end, as words.
async function story(client, end = 'workflow_completed') {
  const frames = [await client.next('workflow_started')];
  const [{ payload: { executionId } }] = frames;
  frames.push(await client.next(end));
  frames.splice(1, 0, ...client.received.filter((f) => f.payload.executionId === executionId));
  client.received = client.received.filter((f) => f.payload.executionId !== executionId);
  for (const frame of frames) assert.equal(frame.payload.executionId, executionId);
  return { frames, executionId, correlations: [...new Set(frames.map((f) => f.correlationId))], words: frames.map((f) => f.payload.nodeId ?? f.type) };
}
const whole = ['workflow_started', 'start', 'shout', 'pause', 'end', 'workflow_completed'];

for (const [name, kind] of Object.entries(kinds)) {
  describe(name, { concurrency: false }, () => {
    let client, other;
    before(async () => {
      client = await Frames.open(kind(), `${address('/ws/genesis')}?token=${token}`);
      other = await Client.open(server.url, { token: server.tokens.member });
    });
    after(() => other.close());

    it('gets the runs of others, and others see its own', async () => {
      await client.send({ type: 'subscribe', payload: { channels: ['workflow:wf-123'] }, correlationId: 'sub' });
      assert.deepEqual((await client.next('subscribed')).payload, { channels: ['workflow:wf-123'] });
      const { body } = await server.api(server.tokens.member, 'POST', '/tenants/default/workflows/wf-123/execute', { inputValues: { data: 'rest' } });
      const theirs = await story(client);
      assert.deepEqual([theirs.executionId, theirs.words, theirs.correlations], [body.instanceID, whole, [undefined]]);

      const { body: { workflowID } } = await server.api(server.tokens.member, 'GET', '/tenants/default/workflows/wf-123');
      assert.equal((await other.emit('join_room', `workflow:default:${workflowID}`)).ok, true);
      await client.send({ type: 'execute_workflow', payload: { workflowId: 'wf-123', input: { data: 'mine' } }, correlationId: 'req-1' });
      const mine = await story(client);
      assert.deepEqual([mine.words, mine.correlations], [whole, ['req-1']]);
      const seen = await other.next('workflow_run_started');
      assert.deepEqual([seen.workflowID, seen.instanceID], [workflowID, mine.executionId]);
      assert.equal((await other.emit('workflow_run_join', { runId: mine.executionId })).ok, true);
      assert.equal((await other.next('workflow_run_ended')).status, 'COMPLETED');
      const { payload: { duration } } = mine.frames.find((f) => f.payload.nodeId === 'pause');
      assert.equal((await other.next('workflow_node_update', (p) => p.nodeID === 'pause')).duration, duration);
    });

    it('is told what is wrong, and stays', async () => {
      for (const [frame, code] of [
        ['nonsense', 'INVALID_MESSAGE'],
        [{ type: 'dance', correlationId: 'e' }, 'UNKNOWN_TYPE'],
        [{ type: 'execute_workflow', payload: { workflowId: 'wf-124' }, correlationId: 'e' }, 'WORKFLOW_NOT_FOUND'],
        [{ type: 'subscribe', payload: { channels: ['sync:somebody'] }, correlationId: 'e' }, 'SUBSCRIPTION_FAILED'],
      ]) {
        await client.send(frame);
        const { payload, correlationId, timestamp } = await client.next('error');
        assert.deepEqual([payload.code, correlationId, typeof timestamp], [code, frame.correlationId, 'number']);
      }
    });

    it('gets what is for its user, and about an agent', async () => {
      await client.send({ type: 'subscribe', payload: { channels: ['sync:user-456', 'notifications:user-456', 'agent:agent-7'] }, correlationId: 's' });
      await client.next('subscribed');
      for (const [room, event, data] of [
        ['user:default:user-456', 'sync_update', { type: 'workflow', entityID: 'wf-123', version: 3, updatedAt: '2026-01-02T10:17:25.000Z' }],
        ['user:default:user-456', 'notification', { message: 'hello' }],
        ['agent:default:agent-7', 'agent_status', { agentID: 'agent-7', status: 'working' }],
      ]) {
        const { status, body } = await server.api(publisher, 'POST', '/tenants/default/publish', { room, event, data });
        assert.equal(status, 200, JSON.stringify(body));
      }
      assert.deepEqual((await client.next('sync_update')).payload, { type: 'workflow', entityId: 'wf-123', version: 3, updatedAt: 1767349045000 });
      assert.deepEqual((await client.next('notification')).payload, { message: 'hello' });
      assert.deepEqual((await client.next('agent_status')).payload, { agentId: 'agent-7', status: 'working' });
    });

    it('gets what the server itself has to say', async () => {
      const { body: { workflowID } } = await server.api(server.tokens.admin, 'PUT', '/tenants/default/workflows/asks', asking);
      const { body: { instanceID } } = await server.api(token, 'POST', '/tenants/default/workflows/asks/execute', {});
      const { payload } = await client.next('notification');
      assert.deepEqual([payload.userId, payload.message, payload.data.workflowID, payload.data.instanceID, payload.data.nodeID], ['user-456', 'How many?', workflowID, instanceID, 'ask']);
      const answer = { collectionRequestID: payload.data.collectionRequestID, submittedData: { n: 5 } };
      assert.equal((await server.api(token, 'POST', '/tenants/default/workflows/data-collection', answer)).status, 200);

      const boss = await Frames.open(kind(), `${address('/ws/genesis')}?token=${await server.token('boss', 'default', 'admin')}`);
      await boss.send({ type: 'subscribe', payload: { channels: ['sync:boss'] }, correlationId: 's' });
      await boss.next('subscribed');
      const { status } = await server.api(await server.token('boss', 'default', 'admin'), 'PUT', '/tenants/default/workflows/asks', { ...asking, title: 'Asks' });
      assert.equal(status, 200);
      const sync = (await boss.next('sync_update')).payload;
      assert.deepEqual([sync.type, sync.entityId, Math.floor(sync.version / 1000)], ['workflow', 'asks', sync.updatedAt]);
      await boss.close();
    });

    it('gets nothing else', async () => {
      await client.send({ type: 'ping', timestamp: 1730000000000 });
      assert.deepEqual(await client.next('pong'), { type: 'pong', payload: {}, timestamp: 1730000000000 });
      assert.deepEqual(client.received, []);
      await client.close();
    });
  });
}

it('refuses the handshake without a token', async () => {
  for (const query of ['', '?token=bad']) {
    const status = await new Promise((resolve) => new WebSocket(address(`/ws/genesis${query}`)).on('unexpected-response', (_, response) => resolve(response.statusCode)).on('error', () => {}));
    assert.equal(status, 401);
  }
});

it('has a document that satisfies the official tools, and is served as it is', async () => {
  const file = join(root, 'asyncapi/ws-genesis.yaml');
  const text = await readFile(file, 'utf8');
  assert.equal(await (await fetch(`${server.url}/asyncapi/ws-genesis.yaml`)).text(), text);
  const unavoidable = 'asyncapi-latest-version'; // there is a newer version of AsyncAPI
  const { diagnostics } = await new Parser().parse(text);
  assert.deepEqual(diagnostics.filter((d) => d.code !== unavoidable), []);
  const here = dirname(fileURLToPath(import.meta.url));
  const output = await new Promise((resolve) => {
    execFile(join(here, 'node_modules/.bin/spectral'), ['lint', file, '--ruleset', join(here, 'spectral.yaml'), '--format', 'json'], (_, stdout) => resolve(stdout));
  });
  assert.deepEqual(JSON.parse(output).filter((d) => d.code !== unavoidable), []);
});
