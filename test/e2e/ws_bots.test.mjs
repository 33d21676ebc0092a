// The client of the document of the dialect bots, as it stands there
// (bots/class.js and bots/usage.js), under Node and in a browser. Its timer is
// ours under Node, so that it comes back when the test says so.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import WebSocket from 'ws';
import { openBrowser } from './lib/browser.mjs';
import { limit } from './lib/client.mjs';
import { startTwo } from './lib/cluster.mjs';
import { Frames, node } from './lib/frames.mjs';
import { startModel } from './lib/model.mjs';
import { root, start } from './lib/server.mjs';

const [classText, usageText] = await Promise.all(['class', 'usage'].map((name) => readFile(join(root, `test/e2e/bots/${name}.js`), 'utf8')));
const silent = { log() {}, error() {} };
const address = (server) => `${server.url.replace('http', 'ws')}/ws`;
const types = ['connected', 'disconnected', 'message', 'stream_start', 'stream_chunk', 'stream_end', 'bot_typing', 'typing_start', 'typing_stop',
  'tool_call', 'tool_result', 'session_created', 'session_closed', 'pong', 'error'];

// Bot is a BotClient, with what it has shown: one text for each message_id.
class Bot {
  static async open(server, token, ...sessions) {
    const bot = new Bot();
    const BotClient = new Function('WebSocket', 'setTimeout', 'console', `${classText}; return BotClient;`)(WebSocket, (again) => (bot.again = again), silent);
    Object.assign(bot, { client: new BotClient(address(server), token), heard: [], waiting: [], shown: new Map(), ends: new Map() });
    for (const type of types) bot.client.on(type, (data) => bot.#hear({ type, ...(typeof data?.type === 'string' && data) }));
    bot.client.on('connected', () => sessions.forEach((s) => bot.client.subscribe(s)));
    bot.client.connect();
    await bot.next('connected');
    await bot.settle();
    return bot;
  }

  #hear(frame) {
    const { type, message_id: id, content } = frame;
    if (type === 'stream_start') this.shown.set(id, '');
    if (type === 'stream_chunk') this.shown.set(id, this.shown.get(id) + content);
    if (type === 'stream_end') assert.equal(this.shown.get(id), content);
    if (type === 'message') this.shown.set(id, content);
    if (type === 'stream_end' || type === 'message') this.ends.set(id, (this.ends.get(id) ?? 0) + 1);
    const at = this.waiting.findIndex((w) => w.match(frame));
    if (at >= 0) this.waiting.splice(at, 1)[0].resolve(frame);
    else this.heard.push(frame);
  }

  // next returns the next frame that matches, and takes it out.
  next(what) {
    const match = typeof what === 'string' ? (f) => f.type === what : what;
    const at = this.heard.findIndex(match);
    if (at >= 0) return Promise.resolve(this.heard.splice(at, 1)[0]);
    return limit(`${what}; heard: ${JSON.stringify(this.heard)}`, new Promise((resolve) => this.waiting.push({ match, resolve })));
  }

  // settle waits until all that was sent before has been handled.
  async settle() {
    this.client.send('ping', {});
    await this.next('pong');
  }

  // confirm waits until the server knows what the client has: before the first
  // answer comes the client has answered the pings behind what it was sent, and
  // before the second that has been handled.
  async confirm() {
    await this.settle();
    await this.settle();
  }

  // cut ends the connection without a word; back has the client come again.
  async cut() {
    this.client.ws.terminate();
    await this.next('disconnected');
  }

  async back(server) {
    if (server) this.client.url = address(server);
    this.again();
    await this.next('connected');
    await this.settle();
  }

  // texts is what a person sees at the end, each with how often it was told.
  texts() {
    for (const [id, n] of this.ends) assert.equal(n, 1, `${this.shown.get(id)} came ${n} times`);
    return [...this.shown.values()];
  }

  close() {
    this.client.disconnect();
    return this.next('disconnected');
  }
}

const answer = (...texts) => ({ steps: [...texts.map((t) => (typeof t === 'number' ? { millis: t } : { text: t })), { finish: 'stop' }, { done: true }] });
const said = (f) => f.type === 'stream_end' || (f.type === 'message' && f.role === 'assistant');
const rooms = async (server, token) => (await server.api(token, 'GET', '/tenants/default/chat/rooms')).body.rooms;

describe('one server', { concurrency: false }, () => {
  let model, server, folder, token;
  before(async () => {
    model = await startModel();
    folder = await mkdtemp(join(tmpdir(), 'roomcast-bots-'));
    await mkdir(join(folder, 'data'));
    await writeFile(join(folder, 'c.yaml'), `chat: {models: [{name: small, provider: openai, url: "${model.url}", key: k, firstTokenTimeout: 5s, tokenTimeout: 5s}]}\n`);
    server = await start({ data: join(folder, 'data'), args: ['--config', join(folder, 'c.yaml')] });
    token = await server.token('ada');
  });
  after(async () => {
    assert.doesNotMatch(server.log(), /level=ERROR/);
    assert.equal(await server.stop(), 0);
    await model.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('runs the usage of the document, with its address and token changed', async () => {
    await model.on('Hello!', answer('Hi ', 'there.'));
    const code = usageText.replace('ws://localhost:8080/ws', address(server)).replace('auth-token', token);
    const printed = [];
    let done;
    const whole = new Promise((resolve) => (done = resolve));
    const process = { stdout: { write: (text) => { printed.push(text); if (printed.join('') === 'Hi there.') done(); } } };
    const wrong = { log() {}, error: (...words) => printed.push(...words) };
    const client = new Function('WebSocket', 'setTimeout', 'console', 'process', `${classText}${code}; return client;`)(WebSocket, () => {}, wrong, process);
    // What it says at once is said before it is connected, so it says nothing.
    await limit('session_created', new Promise((resolve) => client.on('session_created', resolve)));
    client.sendMessage('session-uuid', 'Hello!');
    await limit(`the answer; printed: ${printed}`, whole);
    client.disconnect();
  });

  it('loses nothing in the middle of an answer', async () => {
    await model.on('count', answer('one ', 500, 'two ', 500, 'three'));
    const bot = await Bot.open(server, token, 'middle');
    bot.client.sendMessage('middle', 'count');
    await bot.next('stream_chunk');
    await bot.confirm();
    await bot.cut();
    assert.equal(bot.ends.size, 0, 'it was cut in the middle');
    await bot.back();
    assert.equal(bot.ends.size, 0, 'it came back in the middle');
    await bot.next(said);
    await bot.settle();
    assert.deepEqual(bot.texts(), ['one two three']);
    await bot.close();
  });

  it('gets what came while it was away, once', async () => {
    await model.on('away', answer('first'), answer('second'), answer('third'));
    const bot = await Bot.open(server, token, 'away');
    bot.client.sendMessage('away', 'away 1');
    await bot.next(said);
    await bot.next((f) => f.type === 'bot_typing' && !f.is_typing);
    await bot.confirm();
    const room = (await rooms(server, token)).find((r) => r.title === 'away 1').chatRoomID;
    await server.api(token, 'PUT', `/tenants/default/chat/rooms/${room}/members/bob`);
    await bot.cut();
    const bob = await Bot.open(server, await server.token('bob'), room);
    for (const n of [2, 3]) {
      bob.client.sendMessage(room, `away ${n}`);
      await bob.next(said);
    }
    await bot.back();
    assert.deepEqual(bot.texts(), ['first', 'away 2', 'second', 'away 3', 'third']);
    await bot.confirm();
    await bot.cut();
    await bot.back();
    assert.deepEqual(bot.texts(), ['first', 'away 2', 'second', 'away 3', 'third'], 'what it has does not come again');
    assert.deepEqual(bob.texts(), ['second', 'third']);
    await Promise.all([bot.close(), bob.close()]);
  });

  it('lets two users into one session', async () => {
    await model.on('together', answer('To both.'));
    const ada = await Bot.open(server, token, 'together');
    ada.client.sendMessage('together', 'together');
    await ada.next(said);
    const room = (await rooms(server, token)).find((r) => r.title === 'together').chatRoomID;
    assert.equal((await server.api(token, 'PUT', `/tenants/default/chat/rooms/${room}/members/bob`)).status, 200);
    const bob = await Bot.open(server, await server.token('bob'), room);
    bob.client.send('typing_start', { session_id: room });
    assert.deepEqual(await ada.next('typing_start'), { type: 'typing_start', session_id: 'together', user_id: 'bob' });
    await model.on('hi ada', answer('Hi bob.'));
    bob.client.sendMessage(room, 'hi ada');
    const heard = await ada.next((f) => f.role === 'user');
    assert.deepEqual([heard.session_id, heard.user_id, heard.content], ['together', 'bob', 'hi ada']);
    const [one, other] = [await ada.next(said), await bob.next(said)];
    assert.deepEqual([one.message_id, one.content], [other.message_id, 'Hi bob.']);
    await server.api(token, 'DELETE', `/tenants/default/chat/rooms/${room}/members/bob`);
    assert.equal((await bob.next('session_closed')).reason, 'removed');
    bob.client.sendMessage(room, 'am I here?');
    assert.equal((await bob.next('error')).code, 'SESSION_NOT_FOUND');
    await Promise.all([ada.close(), bob.close()]);
  });

  it('tells of tools', async () => {
    await model.on('what can you run', { steps: [{ call: { index: 0, id: 'c1', name: 'workflows_list', arguments: '{}' } }, { finish: 'tool_calls' }, { done: true }] });
    await model.on('"workflows":', answer('A lot.'));
    const bot = await Bot.open(server, token, 'tools');
    bot.client.sendMessage('tools', 'what can you run?');
    assert.deepEqual(await bot.next('tool_call'), { type: 'tool_call', session_id: 'tools', tool: 'workflows_list', arguments: {} });
    const { tool, result } = await bot.next('tool_result');
    assert.deepEqual([tool, result.ok], ['workflows_list', true]);
    assert.match(result.summary, /^\d+ workflows?$/);
    assert.equal((await bot.next(said)).content, 'A lot.');
    await bot.close();
  });

  it('takes a token in the first message, and tells what is wrong', async () => {
    const open = () => Frames.open(node, address(server));
    const client = await open();
    const code = async (frame) => {
      await client.send(frame);
      return (await client.next('error')).code;
    };
    await client.send({ type: 'auth', token });
    await client.send({ type: 'subscribe', session_id: 'first-message' });
    assert.equal((await client.next('session_created')).session_id, 'first-message');
    assert.equal(await code('nonsense'), 'INVALID_FORMAT');
    assert.equal(await code({ type: 'subscribe', session_id: '' }), 'SUBSCRIPTION_FAILED');
    assert.equal(await code({ type: 'typing_start', session_id: 'elsewhere' }), 'SESSION_NOT_FOUND');
    for (let n = 0; n < 300; n++) client.send({ type: 'ping' });
    assert.equal((await client.next('error')).code, 'RATE_LIMITED');
    const large = await open();
    await large.send({ type: 'auth', token });
    await large.send({ type: 'message', session_id: 's', content: 'x'.repeat(70_000) });
    assert.equal((await large.next('error')).code, 'MESSAGE_TOO_LARGE');
    assert.equal(await limit('the end', large.closed), 1009);
    const bad = await open();
    await bad.send({ type: 'auth', token: 'nonsense' });
    assert.equal((await bad.next('error')).code, 'AUTH_FAILED');
    assert.equal(await limit('the end', bad.closed), 4401);
    await client.close();
  });

  it('serves the same class in a browser, which comes back by itself', async () => {
    await model.on('browser', answer('From afar.'), answer('Again.'));
    const context = await openBrowser();
    try {
      const page = await context.newPage();
      await page.goto(server.url);
      const texts = await limit('the browser', page.evaluate(async ([code, url, good]) => {
        const BotClient = new Function(`${code}; return BotClient;`)();
        const client = new BotClient(url, good);
        const next = (type) => new Promise((resolve) => client.on(type, resolve));
        client.on('connected', () => client.subscribe('browser'));
        const made = next('session_created');
        client.connect();
        await made;
        const ends = [];
        client.on('stream_end', (frame) => ends.push(frame.content));
        client.on('message', (frame) => ends.push(frame.content));
        let end = next('stream_end');
        client.sendMessage('browser', 'browser 1');
        await end;
        const back = next('connected'); // 3 s later, as it has it
        client.disconnect();
        await back;
        end = new Promise((resolve) => client.on('stream_end', (frame) => frame.content === 'Again.' && resolve()));
        client.sendMessage('browser', 'browser 2');
        await end;
        return ends;
      }, [classText, address(server), token]));
      assert.deepEqual(texts.filter((t) => t === 'Again.'), ['Again.']);
      assert.ok(texts.includes('From afar.'));
    } finally {
      await context.close();
    }
  });
});

describe('two servers', { concurrency: false }, () => {
  let two, model, folder;
  before(async () => {
    model = await startModel();
    folder = await mkdtemp(join(tmpdir(), 'roomcast-bots-'));
    await writeFile(join(folder, 'c.yaml'), `
chat: {models: [{name: small, provider: openai, url: "${model.url}", key: k, firstTokenTimeout: 5s, tokenTimeout: 5s}]}
instance: {heartbeat: 500ms, expiry: 2s}`);
    two = await startTwo({ args: ['--config', join(folder, 'c.yaml')] });
  });
  after(async () => {
    for (const server of two.servers) assert.doesNotMatch(server.log(), /level=ERROR/);
    await two.stop();
    await model.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('are one to a user who goes from one to the other', async () => {
    await model.on('from one', answer('One.'), answer('Two.'), answer('Three.'));
    const [first, second] = two.servers;
    const ada = await first.token('ada');
    const here = await Bot.open(first, ada, 's');
    here.client.sendMessage('s', 'from one 1');
    const end = await here.next(said);
    await here.next((f) => f.type === 'bot_typing' && !f.is_typing);
    await here.settle();
    const room = (await rooms(first, ada)).find((r) => r.title === 'from one 1').chatRoomID;
    await first.api(ada, 'PUT', `/tenants/default/chat/rooms/${room}/members/bob`);
    const bob = await Bot.open(second, await first.token('bob'), room);
    bob.client.sendMessage(room, 'from one 2');
    const [there, same] = [await bob.next(said), await here.next(said)];
    assert.deepEqual([same.message_id, same.content], [there.message_id, there.content]);
    await here.confirm();
    await here.cut();
    bob.client.sendMessage(room, 'from one 3');
    const missed = await bob.next(said);
    const elsewhere = await Bot.open(second, ada, 's');
    assert.deepEqual(elsewhere.texts(), ['from one 3', missed.content]);
    assert.notEqual(end.message_id, missed.message_id);
    await Promise.all([elsewhere.close(), bob.close()]);
  });

  it('give an answer whole to who goes from one to the other in its middle', async () => {
    const words = Array.from({ length: 60 }, (_, i) => `word ${i}, `);
    await model.on('go around', answer(...words.flatMap((w) => [w, 20])));
    const bot = await Bot.open(two.servers[0], await two.servers[0].token('wanderer'), 'around');
    bot.client.sendMessage('around', 'go around');
    const over = () => [...bot.ends.keys()].some((id) => bot.shown.get(id) !== 'go around'); // which comes again if it was not confirmed
    for (let hops = 1; !over(); hops++) {
      await bot.next((f) => f.type === 'stream_chunk' || said(f)); // its words and where they stand are looked at by Bot
      await bot.cut();
      await bot.back(two.servers[hops % 2]);
    }
    await bot.settle();
    assert.deepEqual(bot.texts().filter((t) => t !== 'go around'), [words.join('')]);
    await bot.close();
  });

  it('lose nothing for two devices of a user that are cut and come back elsewhere', async () => {
    await model.on('devices', answer('first'), answer(300, 'second'));
    const [first, second] = two.servers;
    const token = await first.token('twins');
    const [phone, laptop] = [await Bot.open(first, token, 'd'), await Bot.open(second, token, 'd')];
    phone.client.sendMessage('d', 'devices 1');
    for (const bot of [phone, laptop]) {
      await bot.next(said);
      await bot.confirm();
    }
    assert.deepEqual([phone.texts(), laptop.texts()], [['first'], ['devices 1', 'first']]);
    phone.client.sendMessage('d', 'devices 2');
    await laptop.next((f) => f.content === 'devices 2');
    await laptop.confirm();
    await Promise.all([phone.cut(), laptop.cut()]);
    const [room] = await rooms(first, token);
    for (let done = false; !done;) {
      const { body } = await first.api(token, 'GET', `/tenants/default/chat/rooms/${room.chatRoomID}/messages`);
      done = body.messages.length === 4;
    }
    await phone.back(second);
    await laptop.back(first);
    await Promise.all([phone.settle(), laptop.settle()]);
    assert.deepEqual(phone.texts().filter((t) => !t.startsWith('devices')), ['first', 'second']);
    assert.deepEqual(laptop.texts(), ['devices 1', 'first', 'devices 2', 'second']);
    await Promise.all([phone.close(), laptop.close()]);
  });

  it('end an answer whose server is killed, once, for who is on the other', async () => {
    const [first, second] = two.servers;
    const token = await first.token('orphan');
    await model.on('fate', answer('Begun.'), { steps: [{ text: 'Once upon ' }, { stall: true }] }, answer('Again.'));
    const says = await Bot.open(first, token, 'fate');
    says.client.sendMessage('fate', 'fate 0');
    await says.next(said);
    await says.confirm();
    const [{ chatRoomID }] = await rooms(first, token);
    await first.api(token, 'PUT', `/tenants/default/chat/rooms/${chatRoomID}/members/heir`);
    const hears = await Bot.open(second, await first.token('heir'), chatRoomID);
    says.client.sendMessage('fate', 'fate 1');
    await hears.next('stream_chunk');
    first.signal('SIGKILL');
    await says.next('disconnected');
    const end = await hears.next(said);
    assert.match(end.content, /^Once upon \n\nI was interrupted/);
    await hears.next((f) => f.type === 'bot_typing' && !f.is_typing); // it does not type for ever
    await says.back(second);
    await says.next((f) => said(f) && f.content === end.content);
    says.client.sendMessage('fate', 'fate 2');
    await hears.next((f) => said(f) && f.content === 'Again.');
    await Promise.all([says.settle(), hears.settle()]);
    assert.deepEqual(hears.texts(), ['fate 1', end.content, 'fate 2', 'Again.']);
    assert.deepEqual(says.texts().filter((t) => !t.startsWith('fate')), ['Begun.', end.content, 'Again.']);
    await Promise.all([says.close(), hears.close()]);
  });
});
