// Everybody at once: on two servers, a conversation of three users of whom one
// is on Socket.IO, one on bots and one on service, on both servers each, while
// others run workflows over genesis and have characters decide over action.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client } from './lib/client.mjs';
import { startTwo } from './lib/cluster.mjs';
import { Frames, node } from './lib/frames.mjs';
import { startModel } from './lib/model.mjs';

const each = [1, 2, 3, 4]; // what one client says
const answer = (text) => `You said: ${text}`;
const unique = (list) => assert.equal(new Set(list).size, list.length, JSON.stringify(list));

// Of a client's frames, what they say of the conversation: [who, what].
const spoken = {
  // Everything, and one's own words too.
  socketio: (client, room) => client.received.filter(({ name }) => name === 'ai_chat_member_message' || name === 'ai_chat_bot_message')
    .map(({ name, payload: p }) => {
      assert.equal(p.chatRoomID, room);
      return [name === 'ai_chat_bot_message' ? 'assistant' : p.userID, p.text];
    }),
  service: (client, room) => client.received.filter((f) => f.type === 'chat_message').map(({ data, timestamp, ...rest }) => {
    assert.deepEqual(rest, { type: 'chat_message' });
    assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const { conversation_id, sender_id, content, ...more } = data;
    assert.deepEqual([conversation_id, more], [room, {}]);
    return [sender_id, content];
  }),
  // Answers are where they end, or whole for who has not seen them begin.
  bots: (client, room) => client.received.filter((f) => f.type === 'message' || f.type === 'stream_end').map((f) => {
    assert.equal(f.session_id, room);
    return [f.type === 'stream_end' ? 'assistant' : f.user_id ?? f.role, f.content];
  }),
};

for (const adapter of ['classic', 'streams']) describe(`everybody on two servers over Redis, ${adapter}`, { concurrency: false }, () => {
  let model, folder, two, tokens, publisher;
  const address = (at, path) => two.servers[at].url.replace('http', 'ws') + path;
  const open = {
    socketio: (at, user) => Client.open(two.servers[at].url, { token: tokens[user] }),
    bots: (at, user) => Frames.open(node, `${address(at, '/ws/bots')}?token=${tokens[user]}`),
    service: (at, user) => Frames.open(node, `${address(at, '/api/ws')}?token=${tokens[user]}`),
    genesis: (at, user) => Frames.open(node, `${address(at, '/ws/genesis')}?token=${tokens[user]}`),
    action: (at) => Frames.open(node, address(at, '/ws/action')),
  };
  const both = (dialect, user) => Promise.all([0, 1].map((at) => open[dialect](at, user)));
  const api = async (at, token, method, path, body) => {
    const { status, body: answer } = await two.servers[at].api(token, method, `/tenants/default${path}`, body);
    assert.ok(status < 300, `${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  };

  before(async () => {
    model = await startModel();
    folder = await mkdtemp(join(tmpdir(), 'roomcast-everybody-'));
    await writeFile(join(folder, 'c.yaml'), `
chat: {models: [{name: small, provider: openai, url: "${model.url}"}]}
websocket: {action: {apiKey: b1946ac92492d2347c6235b4d2611184, secret: "${randomBytes(32).toString('hex')}"}}`);
    two = await startTwo({ adapter, args: ['--config', join(folder, 'c.yaml')] });
    const users = ['sam', 'bob', 'sue', 'gen'];
    tokens = Object.fromEntries(await Promise.all(users.map(async (user) => [user, await two.servers[0].token(user)])));
    publisher = await two.servers[0].token('backend', 'default', 'publisher');
    await api(0, two.servers[0].tokens.admin, 'PUT', '/workflows/wf-all', {
      nodes: [
        { id: 'start', type: 'start', data: {} },
        { id: 'pause', type: 'delay', data: { delayType: 'fixed', delayMs: 100 } },
        { id: 'end', type: 'end', data: { outputParameters: [{ name: 'from', sourceVariable: 'input.from' }] } },
      ],
      edges: [{ source: 'start', target: 'pause' }, { source: 'pause', target: 'end' }],
    });
  });
  after(async () => {
    if (!two) return;
    for (const server of two.servers) assert.doesNotMatch(server.log(), /level=(ERROR|WARN)/);
    assert.deepEqual(await two.stop(), [0, 0]);
    await model.stop();
    await rm(folder, { recursive: true });
  });

  it('talks in one conversation, and each hears all of it once, in one order', async () => {
    const clients = { socketio: await both('socketio', 'sam'), bots: await both('bots', 'bob'), service: await both('service', 'sue') };
    const { chatRoomID, epoch } = await clients.socketio[0].emit('ai_chat_room_join', { stream: true });
    for (const [at, user] of [[0, 'bob'], [1, 'sue']]) await api(at, tokens.sam, 'PUT', `/chat/rooms/${chatRoomID}/members/${user}`);
    assert.equal((await clients.socketio[1].emit('ai_chat_room_join', { chatRoomID, stream: true })).ok, true);
    for (const client of clients.service) {
      await client.send({ type: 'subscribe', data: { channel: `conversation:${chatRoomID}` } });
      await client.next('subscribed');
    }
    for (const client of clients.bots) {
      await client.send({ type: 'subscribe', session_id: chatRoomID });
      await client.send({ type: 'ping' });
      await client.next('pong'); // which comes after what the subscription has brought
    }
    const genesis = await both('genesis', 'gen');
    const action = await both('action');

    const say = {
      socketio: async (client, text) => assert.equal((await client.emit('ai_chat_user_message', { chatRoomID, message: { text } })).ok, true),
      bots: (client, content) => client.send({ type: 'message', session_id: chatRoomID, content }),
      service: (client, content) => client.send({ type: 'chat_message', data: { conversation_id: chatRoomID, content } }),
    };
    const all = Object.entries(clients).flatMap(([dialect, list]) => list.map((client, at) => ({ dialect, client, name: `${dialect} ${at}` })));
    const decide = async (client, at) => {
      await client.send({ action: 'Register', API_KEY: 'b1946ac92492d2347c6235b4d2611184', checksum: `tom ${at}`, name: 'tom', prompt: 'You guard the gate.' });
      const { token } = await client.next(undefined);
      for (const n of each) {
        await client.send({ action: 'TakeDecision', token, message: `who goes there ${n}` });
        assert.deepEqual(await client.next(undefined), { status: 'success', route: 'MakeDecision', message: answer(`who goes there ${n}`) });
      }
    };
    await Promise.all([
      ...all.flatMap(({ dialect, client, name }) => each.map((n) => say[dialect](client, `${name} says ${n}`))),
      ...action.map(decide),
    ]);
    const texts = all.flatMap(({ name }) => each.map((n) => `${name} says ${n}`));
    const waits = await open.socketio(1, 'sam');
    await waits.emit('ai_chat_room_join', { chatRoomID, since: { epoch, offset: 0 } });
    await waits.next('ai_chat_bot_message', (p) => p.offset === 2 * texts.length);
    waits.close();

    // What is said last comes to each behind everything else.
    const last = 'that is all';
    await say.socketio(clients.socketio[0], last);
    const isLast = (text) => text === last || text === answer(last);
    for (const client of clients.socketio) await client.next('ai_chat_bot_message', (p) => p.text === answer(last));
    for (const client of clients.service) await client.next('chat_message', (f) => f.data.content === answer(last));
    for (const client of clients.bots) {
      await client.next('message', (f) => f.content === last);
      await client.next(['stream_end', 'message'], (f) => f.content === answer(last));
    }

    const { messages } = await api(1, tokens.sue, 'GET', `/chat/rooms/${chatRoomID}/messages?limit=100`);
    assert.deepEqual(messages.map((m) => m.offset), messages.map((_, i) => i + 1));
    const said = messages.map((m) => [m.userID ?? 'assistant', m.text]).filter(([, text]) => !isLast(text));
    const user = { socketio: 'sam', bots: 'bob', service: 'sue' };
    const expected = all.flatMap(({ dialect, name }) => each.flatMap((n) => [[user[dialect], `${name} says ${n}`], ['assistant', answer(`${name} says ${n}`)]]));
    assert.deepEqual([...said].sort(), expected.sort());
    for (const { name } of all) { // everybody's own words are in their order
      assert.deepEqual(said.filter(([, text]) => text.startsWith(name)).map(([, text]) => text), each.map((n) => `${name} says ${n}`));
    }

    for (const { dialect, client, name } of all) {
      const heard = spoken[dialect](client, chatRoomID).filter(([, text]) => !isLast(text));
      const others = dialect === 'socketio' ? said : said.filter(([, text]) => !text.startsWith(`${name} `));
      if (dialect === 'bots') {
        // An answer ends on the way to its number: others may say something between.
        const answers = ([who]) => who === 'assistant';
        assert.deepEqual(heard.filter(answers), others.filter(answers), name);
        assert.deepEqual(heard.filter((m) => !answers(m)), others.filter((m) => !answers(m)), name);
        heard.forEach(([, text], i) => assert.ok(!heard.slice(0, i).some(([, before]) => before === answer(text)), `${text} comes after its answer`));
      } else assert.deepEqual(heard, others, name);
      assert.deepEqual(client.received.filter((f) => f.type === 'error' || f.name === 'error'), []);
    }
    for (const client of clients.bots) {
      const whole = client.received.filter((f) => f.type === 'message' || f.type === 'stream_end');
      unique(whole.map((f) => f.message_id));
      for (const { message_id, content } of whole.filter((f) => f.type === 'stream_end')) {
        const parts = client.received.filter((f) => f.message_id === message_id).map((f) => (f.type === 'stream_chunk' ? f.content : f.type));
        assert.deepEqual([parts[0], parts.at(-1)], ['stream_start', 'stream_end']);
        assert.equal(parts.slice(1, -1).join(''), content, JSON.stringify(parts));
      }
    }
    // Of the conversation they had heard nothing, and it nothing of theirs.
    for (const client of [...genesis, ...action]) assert.deepEqual(client.received, []);
    for (const client of [...all.map((c) => c.client), ...genesis, ...action]) await client.close();
  });

  it('sees the same runs, whoever has started them', async () => {
    const [sam, genesis, service] = [await both('socketio', 'sam'), await both('genesis', 'gen'), await both('service', 'sue')];
    for (const client of genesis) {
      await client.send({ type: 'subscribe', payload: { channels: ['workflow:wf-all', 'notifications:gen'] }, correlationId: 's' });
      await client.next('subscribed');
    }
    const { workflowID } = await api(0, tokens.sam, 'GET', '/workflows/wf-all');

    // Two started over Socket.IO, and two over genesis.
    const started = await Promise.all(sam.map(async (client, at) => {
      client.send('widget_workflow_connect', { widgetID: randomUUID(), workflowID, inputParams: { from: `socketio ${at}` } });
      return (await client.next('widget_workflow_connected')).instanceID;
    }));
    for (const [at, client] of genesis.entries()) {
      await client.send({ type: 'execute_workflow', payload: { workflowId: 'wf-all', input: { from: `genesis ${at}` } }, correlationId: `mine ${at}` });
      const { payload } = await client.next('workflow_started', (f) => f.correlationId === `mine ${at}`);
      started.push(payload.executionId);
      client.received.unshift({ type: 'workflow_started', payload, correlationId: `mine ${at}` });
      // It is followed on the other server.
      const other = 1 - at;
      await service[other].send({ type: 'subscribe', data: { channel: `workflow_run:${payload.executionId}` } });
      assert.equal((await sam[other].emit('workflow_run_join', { runId: payload.executionId })).ok, true);
    }
    unique(started);

    const froms = ['socketio 0', 'socketio 1', 'genesis 0', 'genesis 1'];
    for (const [at, client] of genesis.entries()) {
      for (const [i, executionId] of started.entries()) {
        const end = await client.next('workflow_completed', (f) => f.payload.executionId === executionId);
        assert.deepEqual(end.payload.result, { from: froms[i] });
        const mine = [...client.received.filter((f) => f.payload.executionId === executionId), end];
        assert.deepEqual(mine.map((f) => f.payload.nodeId ?? f.type), ['workflow_started', 'start', 'pause', 'end', 'workflow_completed']);
        assert.deepEqual([...new Set(mine.map((f) => f.correlationId))], [i === 2 + at ? `mine ${at}` : undefined]);
      }
    }
    for (const at of [0, 1]) {
      const id = started[2 + at];
      const other = 1 - at;
      assert.equal((await sam[other].next('workflow_status_update', (p) => p.instanceID === id && p.status !== 'RUNNING')).status, 'COMPLETED');
      const nodes = sam[other].received.filter((e) => e.name === 'workflow_node_update' && e.payload.instanceID === id).map((e) => e.payload.nodeID);
      assert.deepEqual(nodes, ['start', 'pause', 'end']);
      const end = await service[other].next('status_update', (f) => f.data.entity_id === id && f.data.status === 'COMPLETED');
      assert.deepEqual(end.data.data.output, { from: froms[2 + at] });
      assert.deepEqual(service[other].received.filter((f) => f.type === 'status_update').map((f) => f.data.data.node_id), ['start', 'pause', 'end']);
    }

    // A notification comes to both clients of its user, once, and to nobody else.
    for (const at of [0, 1]) {
      await api(at, publisher, 'POST', '/publish', { room: 'user:default:gen', event: 'notification', data: { message: `from ${at}` } });
      for (const client of genesis) assert.deepEqual((await client.next('notification')).payload, { message: `from ${at}` });
    }
    for (const client of genesis) assert.deepEqual(client.received.filter((f) => f.type === 'notification' || f.type === 'error'), []);
    for (const client of service) assert.deepEqual(client.received.filter((f) => f.type === 'notification' || f.type === 'error'), []);
    for (const client of [...sam, ...genesis, ...service]) await client.close();
  });
});
