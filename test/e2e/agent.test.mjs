// A model that uses tools, as a stock client sees it: the model is an endpoint
// that does what it is told.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { Client } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { startModel } from './lib/model.mjs';
import { start, workflow } from './lib/server.mjs';

const secret = 'sk-of-the-e2e-test';
let model, server, folder, notes, posted;
before(async () => {
  model = await startModel();
  folder = await mkdtemp(join(tmpdir(), 'roomcast-agent-'));
  await mkdir(join(folder, 'data'));
  posted = [];
  notes = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk)).on('end', () => {
      posted.push({ body: JSON.parse(body), key: request.headers['idempotency-key'] });
      response.setHeader('Content-Type', 'application/json').end('{"noted": true}');
    });
  });
  await new Promise((resolve) => notes.listen(0, '127.0.0.1', resolve));
  await writeFile(join(folder, 'c.yaml'), `
chat:
  systemPrompt: You are the assistant of the e2e test.
  models: [{name: small, provider: openai, url: "${model.url}", key: ${secret}, firstTokenTimeout: 1s, tokenTimeout: 1s, retries: 1}]
dataSources:
  - name: own
    driver: sqlite
    url: ${join(folder, 'data', 'roomcast.db')}
    assistant: true
    allowQueries: true
    queries: [{id: titles, title: Titles, sql: "SELECT title FROM workflows WHERE tenant = @runTenant AND title <> @except ORDER BY title", params: [{name: except, type: string, required: true}]}]
  - name: hidden
    driver: sqlite
    url: ${join(folder, 'data', 'roomcast.db')}
    queries: [{id: everything, sql: SELECT 1}]
  - name: notes
    driver: rest
    url: http://127.0.0.1:${notes.address().port}
    allowPrivate: true
    assistant: true
    queries: [{id: addNote, title: Add a note, method: POST, write: true, path: /notes, body: '{"text": "@text"}', params: [{name: text, required: true}]}]
`);
  server = await start({ data: join(folder, 'data'), args: ['--config', join(folder, 'c.yaml')] });
});
after(async () => {
  await checkTraffic(server);
  assert.ok(!server.log().includes(secret) && !server.log().includes('quotes the prompt'));
  assert.equal(await server.stop(), 0);
  await model.stop();
  notes.close();
  await rm(folder, { recursive: true, force: true });
});

// call is a reply that asks for a tool, in two pieces.
const call = (name, args, text) => {
  const json = JSON.stringify(args);
  const half = Math.ceil(json.length / 2);
  return {
    steps: [
      ...(text ? [{ text }] : []),
      { call: { index: 0, id: 'c1', name, arguments: json.slice(0, half) } },
      { call: { index: 0, arguments: json.slice(half) } },
      { finish: 'tool_calls' }, { usage: { prompt_tokens: 7, completion_tokens: 3 } }, { done: true },
    ],
  };
};
const answer = (text) => ({ steps: [{ text }, { finish: 'stop' }, { usage: { prompt_tokens: 7, completion_tokens: 3 } }, { done: true }] });

async function enter(token) {
  const client = await Client.open(server.url, { token });
  const { chatRoomID } = await client.emit('ai_chat_room_join', { stream: true });
  client.received.splice(0);
  return {
    client,
    chatRoomID,
    // say says something and returns what was heard until the answer, and that
    // typing has ended then.
    async say(text, action) {
      const ack = await client.emit('ai_chat_user_message', { chatRoomID, message: { text, ...(action && { action }) } });
      assert.equal(ack.ok, true, JSON.stringify(ack));
      const events = await client.until((e) => e.name === 'ai_chat_bot_message');
      assert.deepEqual(events.filter((e) => e.name === 'ai_chat_bot_typing').map((e) => e.payload.typing), [true, false]);
      const end = events.find((e) => e.name === 'ai_chat_bot_stream_end').payload;
      const said = events.at(-1).payload.text;
      assert.equal(end.text, said);
      assert.equal(events.filter((e) => e.name === 'ai_chat_bot_stream_delta').map((e) => e.payload.text).join(''), said);
      return { events, end, said, tools: events.filter((e) => e.name.startsWith('ai_chat_tool_')).map((e) => e.payload) };
    },
  };
}

// lastBody is the latest request that the model got.
const lastBody = async () => (await model.requests()).at(-1).body;

it('lists workflows, describes one, proposes a run, and runs it when that is approved', async () => {
  const room = await enter(server.tokens.member);
  const workflowID = await workflow(server, 'Add numbers');
  await model.on('what can you run', call('workflows_list', {}, 'Let me look.'));
  await model.on('"workflows":', answer('There is Add numbers.'));
  const listed = await room.say('what can you run?');
  assert.equal(listed.said, 'Let me look.\n\nThere is Add numbers.');
  assert.deepEqual([listed.end.finishReason, listed.end.model, listed.end.usage], ['stop', 'small', { promptTokens: 14, completionTokens: 6 }]);
  assert.deepEqual(listed.tools.map((t) => [t.toolCallID, t.name ?? t.ok]), [['c1', 'workflows_list'], ['c1', true]]);
  assert.match(listed.tools[1].summary, /^\d+ workflows?$/);
  const body = await lastBody();
  assert.ok(body.messages[0].content.startsWith('You are the assistant of the e2e test.'));
  const result = JSON.parse(body.messages.at(-1).content);
  assert.ok(result.kind === 'data' && result.data.workflows.some((w) => w.workflowID === workflowID));

  await model.on('describe it', call('workflow_describe', { workflowID }));
  await model.on('"steps":', answer('It adds.'));
  assert.equal((await room.say('describe it')).said, 'It adds.');
  const described = JSON.parse((await lastBody()).messages.at(-1).content).data;
  assert.ok(described.title === 'Add numbers' && described.inputs.length > 0 && described.steps.length > 1);

  const inputValues = Object.fromEntries(described.inputs.filter((i) => i.required || i.default === undefined).map((i) => [i.name, i.type === 'number' ? 3 : 'x']));
  await model.on('run it', call('workflow_run', { workflowID, inputValues }));
  await model.on('"proposed":', answer('I have proposed it.'));
  const proposed = await room.say('run it');
  assert.deepEqual([proposed.said, proposed.tools[1].ok, proposed.tools[1].summary], ['I have proposed it.', true, 'proposed: Add numbers']);
  const required = await room.client.next('ai_chat_approval_required');
  assert.deepEqual([required.tool, required.title, required.arguments], ['workflow_run', 'Add numbers', { workflowID, inputValues }]);
  const runs = async () => {
    const { body } = await server.api(server.tokens.admin, 'GET', `/tenants/${server.tenant}/workflows/instances?workflowID=${workflowID}`);
    return body.instances.map((i) => i.instanceID);
  };
  assert.deepEqual(await runs(), []);

  const asked = (await model.requests()).length;
  const approved = await room.say('go', 'approve');
  const [, instanceID] = approved.said.match(/^"Add numbers" ran as ([0-9a-f-]+) and is COMPLETED: \{"sum":42\}/);
  assert.equal((await model.requests()).length, asked, 'the model was asked to approve');
  assert.deepEqual(await runs(), [instanceID]);

  await model.on('how did it go', call('run_status', { instanceID }));
  await model.on('"status":', answer('Well.'));
  assert.equal((await room.say('how did it go?')).tools[1].summary, 'Add numbers: COMPLETED');
  const { messages } = await lastBody();
  assert.ok(messages[0].content.includes(`"title":"Add numbers","status":"approved","instanceID":"${instanceID}"`), messages[0].content);
  room.client.close();
});

it('offers the log to administrators only', async () => {
  for (const [role, offered] of [['member', false], ['admin', true]]) {
    await model.reset();
    await model.on('what is in the log', call('log_search', { text: 'listening', limit: 5 }));
    await model.on('"kind"', answer('That.'));
    const room = await enter(server.tokens[role]);
    const { tools } = await room.say('what is in the log?');
    const { body } = (await model.requests())[0];
    assert.equal(body.tools.some((t) => t.function.name === 'log_search'), offered);
    assert.equal(tools[1].ok, offered);
    if (!offered) assert.match(tools[1].summary, /there is no tool "log_search"/);
    room.client.close();
  }
});

it('asks data sources, and only proposes what changes something', async () => {
  await model.reset();
  const room = await enter(server.tokens.member);
  await model.on('what data', call('data_query', {}));
  await model.on('"dataSources":', answer('Some.'));
  await room.say('what data is there?');
  const sources = JSON.parse((await lastBody()).messages.at(-1).content).data.dataSources;
  assert.deepEqual(sources.map((s) => [s.dataSource, s.takesSQL]), [['own', false], ['notes', false]], 'SQL of one\'s own is for administrators');

  await model.on('which titles', call('data_query', { dataQueryID: 'titles', args: { except: 'none' } }));
  await model.on('"rows":', answer('These.'));
  const { tools } = await room.say('which titles are there?');
  assert.match(tools[1].summary, /^Titles: \d+ rows?$/);
  const { data } = JSON.parse((await lastBody()).messages.at(-1).content);
  assert.ok(data.rows.some((r) => r.title === 'Add numbers'));

  await model.on('"error":', answer('No.'));
  for (const [args, want] of [
    [{ dataQueryID: 'everything' }, /there is no query "everything"/],
    [{ dataQueryID: 'titles' }, /args.except: is missing/],
    [{ dataSource: 'own', query: 'SELECT 1' }, /there is no data source "own" that takes SQL/],
  ]) {
    await model.on('try this', call('data_query', args));
    const refused = await room.say('try this');
    assert.deepEqual([refused.said, refused.tools[1].ok], ['No.', false]);
    assert.match(refused.tools[1].summary, want);
  }

  await model.on('note that', call('data_query', { dataQueryID: 'addNote', args: { text: 'milk' } }));
  await model.on('"proposed":', answer('Proposed.'));
  await room.say('note that: milk');
  const { approvalID, title, tool } = await room.client.next('ai_chat_approval_required');
  assert.deepEqual([title, tool, posted.length], ['Add a note', 'data_query', 0]);
  assert.match((await room.say('first test it', 'test')).said, /would be asked with \{"text":"milk"\}/);
  assert.equal(posted.length, 0);
  const done = await room.say('yes');
  assert.match(done.said, /"Add a note" is done: \{"noted":true\}/);
  assert.deepEqual(posted, [{ body: { text: 'milk' }, key: approvalID }]);
  const outcome = done.events.find((e) => e.name === 'ai_chat_approval_outcome').payload;
  assert.deepEqual([outcome.approvalID, outcome.ok], [approvalID, true]);
  room.client.close();

  const admin = await enter(server.tokens.admin);
  await model.on('count them', call('data_query', { dataSource: 'own', query: 'SELECT COUNT(*) AS n FROM workflows WHERE title = @t', args: { t: 'Add numbers' } }));
  await admin.say('count them');
  assert.deepEqual(JSON.parse((await lastBody()).messages.at(-1).content).data.rows, [{ n: 1 }]);
  await model.on('drop them', call('data_query', { dataSource: 'own', query: 'DELETE FROM workflows' }));
  assert.match((await admin.say('drop them')).tools[1].summary, /begins with DELETE/);
  admin.client.close();
});

it('answers each message once, whatever the provider does', async () => {
  await model.reset();
  const failure = (status) => ({ status, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ error: { message: `quotes the prompt and ${secret}`, code: 'x' } }) });
  const room = await enter(server.tokens.member);
  for (const [name, replies, text, finish] of [
    ['busy-then-fine', [failure(429), answer('Fine.')], /^Fine\.$/, 'stop'],
    ['fails', [failure(500)], /^I could not answer: .*try again\.$/, 'error'],
    ['refuses', [failure(401)], /^I could not answer: .*operate this server/, 'error'],
    ['hangs', [{ steps: [{ stall: true }] }], /gave no sign within 1s/, 'error'],
    ['stalls', [{ steps: [{ text: 'So far' }, { stall: true }] }], /^So far\n\nI could not answer/, 'error'],
    ['is-cut', [{ steps: [{ text: 'So far' }, { cut: true }] }], /^So far\n\nI could not answer/, 'error'],
    ['garbage', [{ steps: [{ raw: 'data: {nonsense\n\n' }] }], /^I could not answer/, 'error'],
    ['web-page', [{ headers: { 'Content-Type': 'text/html' }, body: '<html>' }], /^I could not answer/, 'error'],
    ['silence', [{ steps: [{ finish: 'stop' }, { done: true }] }], /nothing to say/, 'stop'],
    ['odd-calls', [{ steps: [{ call: { index: 0, arguments: '[' } }, { finish: 'tool_calls' }, { done: true }] }], /^You said/, 'stop'],
  ]) {
    await model.on(name, ...replies);
    const { said, end } = await room.say(name);
    assert.match(said, text, name);
    assert.equal(end.finishReason, finish, name);
    assert.ok(!said.includes(secret) && !said.includes('quotes the prompt'), said);
  }
  await model.on('', call('run_status', {}));
  const { said, end } = await room.say('for ever');
  assert.match(said, /used tools in 15 rounds/);
  assert.equal(end.finishReason, 'length');
  assert.equal(room.client.received.filter((e) => e.name === 'ai_chat_bot_message').length, 0);
  room.client.close();
});

it('keeps what was said when it is stopped', async () => {
  await model.reset();
  const room = await enter(server.tokens.member);
  const ack = await room.client.emit('ai_chat_user_message', { chatRoomID: room.chatRoomID, message: { text: 'stream 2000 5' } });
  await room.client.next('ai_chat_bot_stream_delta');
  assert.deepEqual(await room.client.emit('ai_chat_stop', { chatRoomID: room.chatRoomID }), { ok: true, stopped: true });
  const end = await room.client.next('ai_chat_bot_stream_end');
  assert.deepEqual([end.replyTo, end.finishReason], [ack.offset, 'stopped']);
  const { text } = await room.client.next('ai_chat_bot_message');
  assert.ok(text.startsWith('w0') && text === end.text && !text.endsWith('w1999'));
  room.client.close();
});
