// The dialect action: the two kinds of client that there are, in Python, and
// what a client of the package ws sees.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Parser } from '@asyncapi/parser';
import WebSocket from 'ws';
import { Client, limit } from './lib/client.mjs';
import { startModel } from './lib/model.mjs';
import { root, start } from './lib/server.mjs';

const key = 'b1946ac92492d2347c6235b4d2611184';
const python = '/usr/bin/python3'; // Debian's, which has the package websockets
const here = dirname(fileURLToPath(import.meta.url));

let model, folder, server;
const launch = (data) => start({ data, args: ['--config', join(folder, 'c.yaml')] });
before(async () => {
  model = await startModel();
  folder = await mkdtemp(join(tmpdir(), 'roomcast-action-'));
  await writeFile(join(folder, 'key'), `${key}\n`);
  await writeFile(join(folder, 'c.yaml'), `
chat: {models: [{name: small, provider: openai, url: "${model.url}"}]}
websocket: {action: {apiKeyFile: "${join(folder, 'key')}"}}`);
  server = await launch();
});
after(async () => {
  assert.equal(await server.stop(), 0);
  await model.stop();
  await rm(folder, { recursive: true });
});

const address = (path) => server.url.replace('http', 'ws') + path;

// A Program is one of the clients in Python, with somebody who types.
class Program {
  constructor(file) {
    this.child = spawn(python, [join(here, 'python', file), address('/ws')], {
      stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.exited = new Promise((resolve) => this.child.on('exit', resolve));
  }

  type(line) {
    this.child.stdin.write(`${line}\n`);
  }

  // line returns the next line, which begins with a word, without that.
  async line(word) {
    const { value } = await limit(`a line that begins with ${word}`, this.lines.next());
    assert.ok(value?.startsWith(word), `got ${value}, want ${word} …`);
    return value.slice(word.length).trim();
  }

  // send types what is sent, and returns the reply.
  async send(line) {
    this.type(line);
    await this.line('sent');
    return this.received();
  }

  async received() {
    return JSON.parse(await this.line('received'));
  }

  async stop() {
    this.child.stdin.end();
    assert.equal(await this.exited, 0);
  }
}

for (const [file, field] of [['action_client_data.py', 'data'], ['action_client_token.py', 'token']]) {
  describe(file, () => {
    it('does all that is documented', async () => {
      const c = new Program(file);
      const refused = async (line, why) => {
        c.type(line);
        assert.match(await c.line('error'), why);
      };
      await refused('takedecision Hello', /no token available/);
      await refused('dance', /invalid command/);
      const error = (route, message) => ({ status: 'error', route, message });
      // An error is not taken for a token.
      assert.deepEqual(await c.send(`connection ${field}`), error('Connection', "Account doesn't exist"));
      assert.deepEqual(await c.send(`register wrong ${field} tom juste le boss`), error('Register', 'Invalid API Key'));
      await refused('takedecision Hello', /no token available/);

      const registered = await c.send(`register ${key} ${field} tom juste le boss`);
      assert.deepEqual(registered, { status: 'success', route: 'Register', token: registered.token, data: registered.token });
      assert.equal(await c.line('token'), registered.token);
      assert.deepEqual(await c.send('takedecision Hello World'), { status: 'success', route: 'MakeDecision', message: 'You said: Hello World' });

      // A decision that comes while somebody connects is not taken for a token,
      // and neither is the error.
      await model.on('slowly', { steps: [{ millis: 1500 }, { text: 'TalkTo: [ann]\nMessage: Hi.' }, { finish: 'stop' }, { done: true }] });
      c.type('takedecision slowly');
      await c.line('sent');
      assert.equal((await c.send('connection nobody')).status, 'error');
      assert.deepEqual(await c.received(), { status: 'success', route: 'MakeDecision', message: 'TalkTo: [ann]\nMessage: Hi.' });
      assert.equal((await c.send('takedecision still here')).message, 'You said: still here');

      const connected = await c.send(`connection ${field}`);
      assert.notEqual(connected[field], registered[field]);
      assert.equal(await c.line('token'), connected[field]);
      assert.equal((await c.send('takedecision again')).message, 'You said: again');

      // The token that has ended is not kept.
      assert.deepEqual(await c.send('disconnect'), { status: 'success', route: 'Disconnect', message: 'Disconnected', token: '', data: '' });
      assert.equal(await c.line('token'), '');
      await refused('takedecision Hello', /no token available/);
      await c.stop();
    });
  });
}

// A Raw is a client of the package ws.
class Raw {
  static async open(path, protocols) {
    const c = new Raw();
    c.socket = new WebSocket(address(path), protocols);
    c.received = [];
    c.waiting = [];
    c.socket.on('message', (data) => {
      const message = JSON.parse(data);
      const next = c.waiting.shift();
      if (next) next(message);
      else c.received.push(message);
    });
    c.closed = new Promise((resolve) => c.socket.on('close', resolve));
    await limit('the connection', new Promise((resolve, reject) => c.socket.on('open', resolve).on('error', reject)));
    return c;
  }

  next() {
    if (this.received.length) return Promise.resolve(this.received.shift());
    return limit('a message', new Promise((resolve) => this.waiting.push(resolve)));
  }

  ask(message) {
    this.socket.send(typeof message === 'object' && !Buffer.isBuffer(message) ? JSON.stringify(message) : message);
    return this.next();
  }
}

it('is spoken wherever it is chosen', async () => {
  for (const [path, protocols] of [['/ws/action'], ['/ws?dialect=action'], ['/ws', ['action.v1']], ['/ws']]) {
    const c = await Raw.open(path, protocols);
    assert.equal(c.socket.protocol, protocols?.[0] ?? '');
    assert.deepEqual(await c.ask({ action: 'Connection', checksum: 'nobody knows' }), { status: 'error', route: 'Connection', message: "Account doesn't exist" });
    assert.deepEqual(await c.ask(Buffer.from('{"action":"Status"}')), { status: 'error', route: 'Status', message: 'Unknown Action' });
    c.socket.close();
    await c.closed;
  }
});

it('takes the example of the document, once it is JSON', async () => {
  const c = await Raw.open('/ws/action');
  const example = `{ "action": "Register", "API_KEY": "${key}" "checksum": "azerty", "name": "tom", "prompt": "juste le boss" }`;
  assert.deepEqual(await c.ask(example), { status: 'error', route: 'root', message: 'Error while decoding JSON message' });
  const { token } = await c.ask(example.replace('" "checksum', '", "checksum'));
  assert.equal((await c.ask({ action: 'TakeDecision', token, message: 'Hello World' })).message, 'You said: Hello World');

  // It is good for nothing else here.
  for (const namespace of ['/', '/monitor']) {
    const elsewhere = new Client(server.url, { token, namespace });
    await assert.rejects(elsewhere.connected, (error) => /^USER_AUTH_TOKEN_/.test(error.data.code));
  }
  assert.equal((await server.api(token, 'GET', '/me')).status, 401);
  for (const foreign of [server.tokens.admin, server.tokens.member]) {
    assert.deepEqual(await c.ask({ action: 'TakeDecision', token: foreign, message: 'x' }), { status: 'error', route: 'Connection', message: 'Error while verifying JWT' });
  }

  // It says what it says, and then that it is too much.
  const huge = await c.ask({ action: 'Register', API_KEY: key, checksum: 'huge', name: 'n', prompt: 'p'.repeat(70_000) });
  assert.equal(huge.status, 'error');
  assert.equal(await c.closed, 1009);
});

it('knows its characters after a restart', async () => {
  let c = await Raw.open('/ws/action');
  const { token } = await c.ask({ action: 'Register', API_KEY: key, checksum: 'lasting', name: 'tom', prompt: 'juste le boss' });
  await c.ask({ action: 'TakeDecision', token, message: 'before the restart' });
  assert.equal(await server.stop({ keep: true }), 0);
  assert.equal(await c.closed, 1001);
  server = await launch(server.data);
  c = await Raw.open('/ws/action');
  assert.equal((await c.ask({ action: 'TakeDecision', token, message: 'after it' })).message, 'You said: after it');
  const { body } = (await model.requests()).at(-1);
  assert.deepEqual(body.messages, [
    { role: 'system', content: 'Your name is tom.\n\njuste le boss' },
    { role: 'user', content: 'before the restart' },
    { role: 'assistant', content: 'You said: before the restart' },
    { role: 'user', content: 'after it' },
  ]);
  c.socket.close();
  for (const secret of [key, token, 'lasting', 'juste le boss', 'before the restart']) {
    assert.ok(!server.log().includes(secret), `${secret} is in the log`);
  }
});

it('goes on deciding when the server was killed in the middle of a decision', async () => {
  let c = await Raw.open('/ws/action');
  const { token } = await c.ask({ action: 'Register', API_KEY: key, checksum: 'survivor', name: 'tom', prompt: 'juste le boss' });
  await model.on('killed', { steps: [{ millis: 60_000 }] });
  c.socket.send(JSON.stringify({ action: 'TakeDecision', token, message: 'killed' }));
  while (!JSON.stringify((await model.requests()).at(-1)).includes('killed')) { /* until the model is asked */ }
  server.signal('SIGKILL');
  assert.equal(await c.closed, 1006);
  server = await launch(server.data);
  c = await Raw.open('/ws/action');
  assert.deepEqual(await c.ask({ action: 'TakeDecision', token, message: 'and now?' }), { status: 'success', route: 'MakeDecision', message: 'You said: and now?' });
  c.socket.close();
});

it('has a document that satisfies the official parser and spectral', async () => {
  const text = await (await fetch(`${server.url}/asyncapi/ws-action.yaml`)).text();
  const { document, diagnostics } = await new Parser().parse(text);
  assert.deepEqual(diagnostics.filter((d) => d.code !== 'asyncapi-latest-version'), []);
  assert.deepEqual(document.channels().all().map((c) => c.address()), ['/ws/action']);
  const output = await new Promise((resolve) => {
    execFile(join(here, 'node_modules/.bin/spectral'), ['lint', join(root, 'asyncapi/ws-action.yaml'), '--ruleset', join(here, 'spectral.yaml'), '--format', 'json'], (_, stdout) => resolve(stdout));
  });
  assert.deepEqual(JSON.parse(output).filter((d) => d.code !== 'asyncapi-latest-version'), []);
});
