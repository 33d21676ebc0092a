// What is malformed ends one connection. What is merely wrong gets an answer.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import WebSocket from 'ws';
import { Client, limit } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { start, workflow } from './lib/server.mjs';

let server, bystander;
before(async () => {
  server = await start();
  bystander = await Client.open(server.url, { token: server.tokens.member });
});
after(async () => {
  assert.equal((await bystander.emit('join_tenant', 'default')).ok, true, 'the bystander lives on');
  bystander.close();
  await checkTraffic(server);
  assert.equal(await server.stop(), 0);
});

// raw opens a WebSocket that is in the default namespace.
async function raw() {
  const ws = new WebSocket(`${server.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
  const frames = [];
  ws.on('message', (data) => frames.push(String(data)));
  const closed = new Promise((resolve) => ws.on('close', (code, reason) => resolve({ code, reason: String(reason) })));
  await new Promise((resolve) => ws.on('open', resolve));
  ws.send(`40${JSON.stringify({ token: server.tokens.member })}`);
  await limit('CONNECT', new Promise((resolve) => ws.on('message', (data) => String(data).startsWith('40') && resolve())));
  return { ws, frames, closed };
}

describe('a malformed frame', () => {
  const frames = [
    ['42'], ['421'], ['450-'], ['451-', Buffer.from('x')], ['431'], ['460-1'], ['459999999999-'], ['42["x"]garbage'], ['42["x",{]'],
    ['42{}'], ['42abc["x"]'], ['42["disconnect"]'], ['4'], ['47'], ['4abc'], ['abc'], ['2'], ['44{}'], [Buffer.from('x')],
    ['451-["x",{"_placeholder":true,"num":9}]', Buffer.from('x')], ['42/elsewhere,["x"]'],
  ];
  for (const list of frames) {
    it(`closes its connection: ${list.map((f) => JSON.stringify(String(f))).join(' ')}`, async () => {
      const { ws, closed } = await raw();
      for (const frame of list) ws.send(frame);
      assert.deepEqual(await limit('the close', closed), { code: 1002, reason: 'parse error' });
      assert.match(server.log(), /connection refused|parse error/);
      assert.equal((await fetch(`${server.url}/health/live`)).status, 200);
    });
  }
});

describe('a wrong payload', () => {
  let client, order;
  const id = randomUUID();
  before(async () => {
    client = await Client.open(server.url, { token: server.tokens.member });
    order = await workflow(server, 'Order approval');
  });
  after(() => client.close());

  const cases = () => [
    ['no_such_event', [{}], 'INVALID_REQUEST'],
    ['ai_chat_room_jion', [{}], 'INVALID_REQUEST', undefined, /did you mean "ai_chat_room_join"/],
    ['workflow_run_join', [], 'VALIDATION_ERROR', 'payload'],
    ['workflow_run_join', [{}], 'VALIDATION_ERROR', 'runId'],
    ['workflow_run_join', [{ runId: 'not a uuid' }], 'VALIDATION_ERROR', 'runId'],
    ['workflow_run_join', [{ runId: id, extra: 1 }], 'VALIDATION_ERROR', 'extra'],
    ['workflow_run_join', [{ runId: id }, 'second'], 'VALIDATION_ERROR', 'payload'],
    ['workflow_run_join', [null], 'VALIDATION_ERROR', 'payload'],
    ['workflow_run_join', [[1, 2]], 'VALIDATION_ERROR', 'payload'],
    ['workflow_run_join', [{ runId: id }], 'NOT_FOUND'],
    ['workflow_run_join', [{ runId: id, firebaseID: 'somebody else' }], 'PERMISSION_DENIED', 'firebaseID'],
    ['ai_chat_room_join', [{ chatRoomID: id }], 'NOT_FOUND'],
    ['ai_chat_room_join', [{ tenantID: 'other' }], 'NOT_FOUND'],
    ['ai_chat_room_join', [{ firebaseID: 'somebody else' }], 'PERMISSION_DENIED', 'firebaseID'],
    ['widget_workflow_connect', [{ widgetID: 'x', workflowID: order }], 'VALIDATION_ERROR', 'widgetID'],
    ['widget_workflow_connect', [{ widgetID: id }], 'VALIDATION_ERROR', 'workflowID'],
    ['widget_workflow_connect', [{ widgetID: id, workflowID: id }], 'NOT_FOUND'],
    ['widget_workflow_connect', [{ widgetID: id, mode: 'subscribe' }], 'VALIDATION_ERROR', 'instanceID'],
    ['widget_workflow_connect', [{ widgetID: id, mode: 'sideways', workflowID: order }], 'VALIDATION_ERROR', 'mode'],
    ['widget_workflow_connect', [{ widgetID: id, workflowID: order, tenantID: 'other' }], 'NOT_FOUND'],
    ['widget_workflow_connect', [{ widgetID: id, workflowID: order, firebaseID: 'x' }], 'PERMISSION_DENIED', 'firebaseID'],
    ['widget_send_input', [{ widgetID: id, inputType: 'action' }], 'CONFLICT'],
    ['widget_send_input', [{ widgetID: id, inputType: 'shout' }], 'VALIDATION_ERROR', 'inputType'],
    ['widget_refresh', [{ widgetID: id }], 'CONFLICT'],
    ['join_room', [{ room: 7 }], 'VALIDATION_ERROR', 'room'],
    ['join_room', ['tenant:other'], 'NOT_FOUND'],
    ['join_room', [''], 'VALIDATION_ERROR', 'payload'],
    ['join_tenant', ['other'], 'NOT_FOUND'],
  ];

  it('is acknowledged with a code and the field', async () => {
    for (const [event, args, code, field, message] of cases()) {
      client.received = [];
      const { ok, error } = await new Promise((resolve) => client.socket.emit(event, ...args, resolve));
      const what = `${event} ${JSON.stringify(args)}: ${JSON.stringify(error)}`;
      assert.equal(ok, false, what);
      assert.equal(error.code, code, what);
      assert.equal(error.field, field, what);
      if (message) assert.match(error.message, message);
      assert.doesNotMatch(error.message, /goroutine|\.go:/, what);
      assert.deepEqual(client.received, [], what);
    }
    assert.equal((await client.emit('join_tenant', 'default')).ok, true);
  });

  it('without acknowledgement is answered with the error event of its feature', async () => {
    for (const [event, args, code] of cases()) {
      client.received = [];
      client.socket.emit(event, ...args);
      const widget = event.startsWith('widget_');
      const got = await client.next(widget ? 'widget_workflow_error' : 'error');
      if (widget) assert.match(got.error.code, /^(CONNECTION|INPUT|REFRESH)_FAILED$/);
      else assert.deepEqual([got.code, got.event], [code, event]);
    }
  });

  it('in a chat message is answered by the bot, with and without acknowledgement', async () => {
    const { chatRoomID } = await client.emit('ai_chat_room_join');
    client.received = [];
    for (const payload of [{ message: 'hi' }, { message: 7, chatRoomID }, { message: { text: 'hi', action: 'maybe' }, chatRoomID }, { message: 'hi', chatRoomID: id },
      { message: 'hi', chatRoomID, tenantID: 'other' }, { message: 'hi', chatRoomID, firebaseID: 'x' }, { message: [{ type: 'bot', text: 'hi' }], chatRoomID }, 'hi']) {
      client.socket.emit('ai_chat_user_message', payload);
      assert.match((await client.next('ai_chat_bot_message')).text, /^Your message was not accepted: /);
      const ack = await new Promise((resolve) => client.socket.emit('ai_chat_user_message', payload, resolve));
      assert.equal(ack.ok, false);
      await client.next('ai_chat_bot_message');
      assert.deepEqual(client.received, [], JSON.stringify(payload));
    }
  });

  it('cannot reach what is foreign: the refusal is that for what does not exist', async () => {
    const { body } = await server.api(server.tokens.admin, 'POST', `/tenants/default/workflows/${order}/execute`, {});
    const room = (await client.emit('ai_chat_room_join')).chatRoomID;
    const widgetID = randomUUID();
    await client.emit('widget_workflow_connect', { widgetID, workflowID: order });
    const eve = await Client.open(server.url, { token: await server.token('eve', 'other', 'admin') });
    const same = async (event, payload, unknown) => {
      const foreign = (await eve.emit(event, payload)).error;
      const missing = (await eve.emit(event, unknown)).error;
      assert.equal(foreign.code, 'NOT_FOUND');
      const strip = (text) => text.replace(/[0-9a-f-]{36}/g, 'ID');
      assert.deepEqual({ ...foreign, message: strip(foreign.message) }, { ...missing, message: strip(missing.message) });
    };
    await same('workflow_run_join', { runId: body.instanceID }, { runId: id });
    await same('ai_chat_room_join', { chatRoomID: room }, { chatRoomID: id });
    await same('widget_workflow_connect', { widgetID: randomUUID(), workflowID: order }, { widgetID: randomUUID(), workflowID: id });
    await same('widget_workflow_connect', { widgetID: randomUUID(), instanceID: body.instanceID, mode: 'subscribe' }, { widgetID: randomUUID(), instanceID: id, mode: 'subscribe' });
    await same('widget_send_input', { widgetID, instanceID: body.instanceID, inputType: 'action' }, { widgetID, instanceID: id, inputType: 'action' });
    // Another user of the same tenant does not get into a conversation.
    const bob = await Client.open(server.url, { token: await server.token('bob') });
    assert.equal((await bob.emit('ai_chat_room_join', { chatRoomID: room })).error.code, 'NOT_FOUND');
    eve.close();
    bob.close();
  });
});

describe('a handshake', () => {
  it('is refused with the code in the data of connect_error', async () => {
    const cases = [
      [{}, 'USER_AUTH_TOKEN_NOT_FOUND'], [{ token: 'rubbish' }, 'USER_AUTH_TOKEN_INVALID'], [{ apiKey: 'f'.repeat(64) }, 'INVALID_API_KEY'],
      [{ token: await server.token('ada', 'default', 'member', '--ttl', '1ns') }, undefined], // within the leeway
    ];
    for (const [auth, code] of cases) {
      const client = new Client(server.url, { auth });
      if (code) await assert.rejects(client.connected, (e) => e.data.code === code && e.message.length > 0);
      else await client.connected;
      client.close();
    }
  });

  it('of a page elsewhere is refused, and so is a foreign name', async () => {
    const url = `${server.url}/socket.io/?EIO=4&transport=polling`;
    assert.equal((await fetch(url, { headers: { Origin: 'https://evil.example' } })).status, 403);
    assert.equal((await fetch(url, { headers: { Origin: 'null' } })).status, 403);
    assert.equal((await fetch(url, { headers: { Origin: server.url } })).status, 200);
    assert.equal((await fetch(`${server.url}/api/v1/me`, { headers: { Origin: 'https://evil.example' } })).status, 403);
    const { request } = await import('node:http');
    const status = await new Promise((resolve) => {
      request(`${server.url}/health/live`, { headers: { Host: 'evil.example' } }, (res) => resolve(res.statusCode)).end();
    });
    assert.equal(status, 403);
  });
});
