// What conversations may take and say: tokens of a day, moderation, and a log
// that does not tell what was said.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client, matrix } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { startModel } from './lib/model.mjs';
import { start } from './lib/server.mjs';

let model, moderation, folder, judged;
before(async () => {
  model = await startModel();
  judged = [];
  moderation = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk)).on('end', () => {
      const asked = JSON.parse(body);
      judged.push({ ...asked, key: request.headers.authorization });
      if (asked.text.includes('unclear')) return response.writeHead(503).end(asked.text);
      const bad = asked.text.includes('forbidden');
      response.end(JSON.stringify(bad ? { allowed: false, reason: 'this is a test' } : { allowed: true }));
    });
  });
  await new Promise((resolve) => moderation.listen(0, '127.0.0.1', resolve));
  folder = await mkdtemp(join(tmpdir(), 'roomcast-limits-'));
});
after(async () => {
  await model.stop();
  moderation.close();
  await rm(folder, { recursive: true, force: true });
});

// serve starts a server with settings of its chat.
async function serve(name, chat) {
  const file = join(folder, `${name}.yaml`);
  await writeFile(file, `log: {level: debug}\nchat: {models: [{name: small, provider: openai, url: "${model.url}", retries: 0}], ${chat}}`);
  return start({ args: ['--config', file] });
}

const moderated = (onError) => `moderation: {url: "http://127.0.0.1:${moderation.address().port}/judge", key: hush, timeout: 2s, onError: ${onError}}`;
const answer = (usage, ...texts) => ({ steps: [...texts.map((text) => ({ text })), { finish: 'stop' }, { usage: { prompt_tokens: usage[0], completion_tokens: usage[1] } }, { done: true }] });

async function enter(server, options) {
  const client = await Client.open(server.url, { token: server.tokens.member, ...options });
  const { chatRoomID } = await client.emit('ai_chat_room_join', { stream: true });
  return { client, chatRoomID };
}

// ask says something and returns the end of the answer, what the pieces make of
// it as docs/chat.md has it, and all that was in them.
async function ask({ client, chatRoomID }, text) {
  assert.equal((await client.emit('ai_chat_user_message', { chatRoomID, message: { text } })).ok, true);
  return ended({ client });
}

async function ended({ client }) {
  const events = await client.until((e) => e.name === 'ai_chat_bot_message');
  const pieces = events.filter((e) => e.name === 'ai_chat_bot_stream_delta').map((e) => e.payload);
  const built = pieces.reduce((before, { at, text }) => before.slice(0, at) + text, '');
  const end = events.find((e) => e.name === 'ai_chat_bot_stream_end').payload;
  assert.deepEqual([built, events.at(-1).payload.text], [end.text, end.text]);
  return { ...end, heard: pieces.map((p) => p.text).join('') };
}

// stopped says something, stops the answer when it has begun, and returns its end.
async function stopped({ client, chatRoomID }, text) {
  assert.equal((await client.emit('ai_chat_user_message', { chatRoomID, message: { text } })).ok, true);
  await client.next('ai_chat_bot_stream_delta');
  assert.equal((await client.emit('ai_chat_stop', { chatRoomID })).stopped, true);
  const end = await client.next('ai_chat_bot_stream_end');
  await client.next('ai_chat_bot_message');
  client.received.splice(0);
  assert.equal(end.finishReason, 'stopped');
  return end;
}

const metrics = async (server) => (await fetch(`${server.url}/metrics`)).text();

describe('tokens of a day', () => {
  let server;
  before(async () => { server = await serve('tokens', 'tokensPerDay: 100'); });
  after(async () => {
    await checkTraffic(server);
    assert.equal(await server.stop(), 0);
  });

  it('are counted however an answer ends, and then it is refused, until the next day', async () => {
    await model.on('first', answer([30, 10], 'fine'));
    await model.on('broken', { steps: [{ text: 'half of' }, { usage: { prompt_tokens: 20, completion_tokens: 5 } }, { cut: true }] });
    await model.on('stall', { steps: [{ text: 'so far' }, { stall: true }] });
    const one = await enter(server);
    const fine = await ask(one, 'first');
    assert.deepEqual([fine.finishReason, fine.usage, fine.model], ['stop', { promptTokens: 30, completionTokens: 10 }, 'small']);
    assert.equal((await ask(one, 'broken')).finishReason, 'error');

    await stopped(one, 'stall '.repeat(100));
    const asked = (await model.requests()).length;

    const other = await enter(server);
    const refused = await ask(other, 'first');
    assert.equal(refused.finishReason, 'refused');
    assert.match(refused.text, /the 100 tokens that tenant .* has for a day are used up/);
    assert.equal(refused.usage, undefined);
    assert.equal((await model.requests()).length, asked);
    const numbers = await metrics(server);
    for (const finish of ['stop', 'error', 'stopped', 'refused']) {
      assert.match(numbers, new RegExp(`roomcast_chat_turns_ended_total{finish="${finish}"} 1\n`));
    }
    assert.match(numbers, /roomcast_chat_first_token_seconds_count 3\n/);
    assert.ok(Number(/chat_tokens_total{kind="prompt"} (\d+)/.exec(numbers)[1]) >= 100);
    one.client.close();
    other.client.close();
  });
});

describe('moderation', () => {
  let server;
  before(async () => {
    server = await serve('moderated', moderated('refuse'));
    await model.on('greet', answer([1, 1], 'hello'));
    await model.on('tempt', answer([1, 1], 'this is ', 'for', 'bidden, though'));
    await model.on('blur', answer([1, 1], 'an unclear thing'));
  });
  after(async () => {
    await checkTraffic(server);
    for (const text of ['greet', 'forbidden', 'tempt', 'unclear', 'hello']) assert.ok(!server.log().includes(text), text);
    assert.ok(!server.log().includes('hush') && server.log().includes('what is said was not judged'));
    assert.equal(await server.stop(), 0);
  });

  for (const options of matrix) {
    it(`keeps what may not be said from models and users, socket.io-client ${options.version} over ${options.transport}`, async () => {
      const room = await enter(server, options);
      assert.equal((await ask(room, 'greet me')).text, 'hello');
      const before = await model.requests();

      const prompt = await ask(room, 'a forbidden thing');
      assert.deepEqual([prompt.finishReason, prompt.text], ['refused', 'I may not answer that: this is a test.']);
      const unjudged = await ask(room, 'an unclear thing');
      assert.match(unjudged.text, /^I cannot answer now/);
      // Who only decides something, says something all the same.
      const approve = await room.client.emit('ai_chat_user_message', { chatRoomID: room.chatRoomID, message: { text: 'forbidden', action: 'approve' } });
      assert.equal(approve.ok, true);
      assert.equal((await ended(room)).finishReason, 'refused');
      assert.equal((await model.requests()).length, before.length);

      const completion = await ask(room, 'tempt me');
      assert.deepEqual([completion.finishReason, completion.text], ['refused', 'I may not say what I was going to say: this is a test.']);
      assert.deepEqual(completion.usage, { promptTokens: 1, completionTokens: 1 });
      assert.match((await ask(room, 'blur it')).text, /^I cannot say now/);

      assert.equal((await ask(room, 'greet me again')).text, 'hello');
      const { body } = (await model.requests()).at(-1);
      assert.deepEqual(body.messages.filter((m) => m.role !== 'system').map((m) => m.content), ['greet me', 'hello', 'greet me again']);
      room.client.close();
    });
  }

  it('is asked about users by a hash, and in both directions', async () => {
    const mine = judged.filter((j) => j.text === 'greet me');
    assert.ok(mine.every((j) => j.direction === 'prompt' && j.key === 'Bearer hush' && j.tenant === server.tenant && /^[0-9a-f]{32}$/.test(j.user)));
    assert.ok(judged.some((j) => j.text === 'hello' && j.direction === 'completion'));
  });

  it('may let pass what it could not judge', async () => {
    const lenient = await serve('lenient', moderated('allow'));
    const room = await enter(lenient);
    assert.equal((await ask(room, 'blur it')).text, 'an unclear thing');
    assert.match(await metrics(lenient), /roomcast_chat_unjudged_total 1\n/);
    room.client.close();
    assert.equal(await lenient.stop(), 0);
  });
});

describe('the log', () => {
  // converse is a conversation in which everything happens.
  async function converse(server) {
    await model.reset();
    await model.on('tool', { steps: [{ call: { index: 0, id: 'c1', name: 'workflow_run', arguments: '{"workflowID": "private-arguments", "inputValues": 1}' } }, { finish: 'tool_calls' }, { done: true }] });
    await model.on('private-prompt', answer([1, 1], 'private-completion'));
    await model.on('broken', { status: 400, body: 'private-failure' });
    await model.on('garbage', { steps: [{ raw: 'data: {private-garbage\n\n' }] });
    await model.on('stall', { steps: [{ text: 'private-piece' }, { stall: true }] });
    const room = await enter(server);
    for (const text of ['private-prompt', 'private-tool', 'private-broken', 'private-garbage', 'run private-workflow with a=private-input']) await ask(room, text);
    assert.equal((await stopped(room, 'private-stall')).text, 'private-piece');
    const refused = await room.client.emit('ai_chat_user_message', { chatRoomID: room.chatRoomID, message: { text: 'private-text', action: 'private-action' } });
    assert.equal(refused.ok, false);
    await room.client.next('ai_chat_bot_message');
    await ask(room, 'private, and my password: swordfish');
    room.client.close();
  }

  it('does not tell what was said', async () => {
    const server = await serve('silent', 'waiting: 32');
    await converse(server);
    assert.equal(await server.stop(), 0);
    const told = server.log().split('\n').filter((line) => line.includes('private') || line.includes('swordfish'));
    assert.deepEqual(told, []);
  });

  it('tells it where that is wanted, without secrets', async () => {
    const server = await serve('talkative', 'logPrompts: true');
    await converse(server);
    assert.equal(await server.stop(), 0);
    for (const text of ['private-prompt', 'private-completion', 'private-piece']) assert.ok(server.log().includes(text), text);
    assert.match(server.log(), /private, and my password: \[redacted\]/);
    assert.ok(!server.log().includes('swordfish'));
  });
});
