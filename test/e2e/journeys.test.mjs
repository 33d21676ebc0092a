// What each documented client does, with every client version on every
// transport. All traffic is checked against the served contract at the end.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { Client, matrix } from './lib/client.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { start, workflow } from './lib/server.mjs';

let server, add, order, countdown;

before(async () => {
  server = await start({ env: { ROOMCAST_MONITOR_STATSINTERVAL: '100ms' } });
  add = await workflow(server, 'Add numbers');
  order = await workflow(server, 'Order approval');
  countdown = await workflow(server, 'Countdown');
});

after(async () => {
  await checkTraffic(server);
  assert.equal(await server.stop(), 0);
});

const open = (options) => Client.open(server.url, { token: server.tokens.member, ...options });
const runs = `/tenants/default/workflows`;

async function execute(id, inputValues = {}) {
  const { status, body } = await server.api(server.tokens.member, 'POST', `${runs}/${id}/execute`, { inputValues });
  assert.equal(status, 201, JSON.stringify(body));
  return body.instanceID;
}

for (const options of matrix) {
  describe(`socket.io-client ${options.version} over ${options.transport}`, { concurrency: false }, () => {
    it('chats: proposes, tests, rejects, approves', async () => {
      const client = await open(options);
      client.send('ai_chat_room_join', { firebaseID: 'member' });
      const { chatRoomID } = await client.next('ai_chat_room_id');
      const say = (message) => {
        client.send('ai_chat_user_message', { message, chatRoomID, firebaseID: 'member', tenantID: 'default' });
        return client.next('ai_chat_bot_message');
      };
      // The documented example: an ordinary question with the action test.
      assert.match((await say({ text: 'Show me sales for last month', action: 'test' })).text, /No language model is configured/);
      assert.match((await say('list workflows')).text, /Add numbers \(a, b\)/);
      assert.match((await say({ text: 'run Add numbers with a=1, b=2' })).text, /Approve, reject or test\?/);
      assert.match((await say({ text: 'try it', action: 'test' })).text, /The test passed/);
      assert.match((await say({ text: 'no', action: 'reject' })).text, /I will not run/);
      assert.match((await say({ text: 'yes', action: 'approve' })).text, /nothing to approve/);
      assert.match((await say([{ type: 'user', text: 'run "Add numbers" with a=40, b=2' }])).text, /Approve/);
      const done = await say({ text: 'yes', action: 'approve' });
      assert.match(done.text, /COMPLETED: {"sum":42}/);
      assert.equal(done.chatRoomID, chatRoomID);
      await say('run Order approval');
      assert.match((await say({ text: 'yes', action: 'approve' })).text, /waits for an answer: Approve an order of 1200\?/);
      // One answer each, and nothing else but what those who listen to more get.
      const more = new Set(client.received.map((e) => e.name));
      assert.deepEqual([...more].sort(), ['ai_chat_member_message', 'ai_chat_room_updated']);
      client.close();

      // The conversation goes on where it was.
      const again = await open(options);
      const ack = await again.emit('ai_chat_room_join', { chatRoomID });
      assert.equal(ack.ok, true);
      assert.equal(ack.messages.length, 20);
      assert.equal(ack.messages.at(-5).text, done.text);
      assert.equal((await again.next('ai_chat_room_id')).chatRoomID, chatRoomID);
      again.close();
    });

    it('follows a run that is going on, and one that is over', async () => {
      const client = await open(options);
      const instanceID = await execute(countdown, { stepMs: 60 });
      const joined = await client.emit('workflow_run_join', { runId: instanceID, firebaseID: 'member' });
      assert.equal(joined.ok, true);
      const live = await client.until((e) => e.name === 'workflow_status_update');
      assert.deepEqual(live.map((e) => e.payload.nodeID ?? e.payload.status), ['start', 'three', 'two', 'one', 'lift-off', 'end', 'COMPLETED']);
      assert.deepEqual(live.at(-1).payload.output, { message: 'lift-off' });

      const late = await open(options);
      const ack = await late.emit('workflow_run_join', { runId: instanceID });
      assert.deepEqual(ack, { ...ack, ok: true, runId: instanceID, status: 'COMPLETED' });
      assert.deepEqual(late.received, live);
      await late.emit('workflow_run_join', { runId: instanceID }); // joining twice is joining once
      assert.deepEqual(late.received, live);
      client.close();
      late.close();
    });

    it('binds a widget: execute with a form, subscribe, replay, refresh', async () => {
      const client = await open(options);
      const widgetID = randomUUID();
      client.send('widget_workflow_connect', { widgetID, workflowID: order, mode: 'execute', inputParams: { amount: 5000 }, widgetType: 'bar' });
      const connected = await client.next('widget_workflow_connected');
      assert.deepEqual(connected, { ...connected, widgetID, workflowID: order, mode: 'execute', initialContext: { input: { amount: 5000 } }, workflowMeta: null });
      const { instanceID } = connected;
      const asked = await client.next('workflow_data_collection_request');
      assert.equal(asked.collectionConfig.title, 'Approve an order of 5000?');

      // Somebody else looks on, from the newest run of the workflow.
      const viewer = await open(options);
      const viewerWidget = randomUUID();
      viewer.send('widget_workflow_connect', { widgetID: viewerWidget, workflowID: order, mode: 'subscribe' });
      const subscribed = await viewer.next('widget_workflow_connected');
      assert.equal(subscribed.instanceID, instanceID);
      assert.deepEqual(subscribed.workflowMeta, { status: 'RUNNING' });
      assert.deepEqual(subscribed.initialContext, { input: { amount: 5000 } });

      client.send('widget_send_input', { widgetID, inputType: 'form_submit', data: { approved: 'maybe' } });
      const refused = await client.next('widget_workflow_error');
      assert.equal(refused.error.code, 'INPUT_FAILED');
      assert.match(refused.error.message, /approved/);
      client.send('widget_send_input', { widgetID, inputType: 'form_submit', data: { approved: true } });
      assert.deepEqual(await client.next('widget_input_received'), { widgetID, instanceID, inputType: 'form_submit', success: true });

      for (const [socket, id] of [[client, widgetID], [viewer, viewerWidget]]) {
        const status = await socket.next('widget_workflow_status');
        assert.deepEqual(status, { ...status, widgetID: id, instanceID, status: 'COMPLETED' });
        assert.equal(status.finalContext.result, 'approved');
      }
      const updates = client.received.filter((e) => e.name === 'widget_context_update').map((e) => e.payload.update);
      assert.deepEqual(updates.map((u) => u.nodeID), ['start', 'size', 'ask', 'decided', 'end']);
      assert.deepEqual(updates.map((u) => u.outputVariable), [null, null, 'decision', 'result', null]);
      assert.equal(updates[3].contextSnapshot.result, 'approved');
      // The viewer gets what happened after it came, and node updates beside.
      assert.deepEqual(viewer.received.filter((e) => e.name === 'widget_context_update').map((e) => e.payload.update.nodeID), ['ask', 'decided', 'end']);
      assert.deepEqual(viewer.received.filter((e) => e.name === 'workflow_node_update').map((e) => e.payload.nodeID), ['ask', 'decided', 'end']);

      viewer.received = [];
      viewer.send('widget_workflow_connect', { widgetID: viewerWidget, instanceID, mode: 'replay' });
      const replayed = await viewer.until((e) => e.name === 'widget_workflow_status');
      assert.deepEqual(replayed.map((e) => e.payload.update?.nodeID ?? e.payload.workflowStatus ?? e.payload.status), ['COMPLETED', 'start', 'size', 'ask', 'decided', 'end', 'COMPLETED']);

      // Refreshing keeps the previous input.
      client.received = [];
      client.send('widget_refresh', { widgetID });
      const again = await client.next('widget_workflow_connected');
      assert.notEqual(again.instanceID, instanceID);
      assert.deepEqual(again.initialContext, { input: { amount: 5000 } });
      client.send('widget_refresh', { widgetID, inputParams: { amount: 1 } });
      const small = await client.next('widget_workflow_connected', (p) => p.instanceID !== again.instanceID);
      assert.equal((await client.next('widget_workflow_status')).finalContext.result, 'approved automatically');
      assert.notEqual(small.instanceID, again.instanceID);

      client.send('widget_workflow_disconnect', { widgetID });
      assert.deepEqual(await client.next('widget_workflow_disconnected'), { widgetID, success: true });
      client.send('widget_refresh', { widgetID });
      assert.equal((await client.next('widget_workflow_error')).error.code, 'REFRESH_FAILED');
      client.close();
      viewer.close();
    });

    it('watches the monitor as an administrator only', async () => {
      const admin = await Client.open(server.url, { ...options, namespace: '/monitor', token: server.tokens.admin });
      const line = await admin.next('log', (l) => l.content.message === 'server is ready');
      assert.equal(line.routingKey, 'log.info');
      assert.ok(Math.abs(Date.now() - line.timestamp) < 600_000);
      const instanceID = await execute(add);
      const finished = await admin.next('log', (l) => l.content.run === instanceID);
      assert.equal(finished.content.status, 'COMPLETED');
      const stats = await admin.next('stats');
      assert.ok(stats.connections >= 1 && stats.sessions >= 1 && stats.memory.heap > 0, JSON.stringify(stats));
      admin.close();
      for (const [token, code] of [[server.tokens.member, 'PERMISSION_DENIED'], [undefined, 'USER_AUTH_TOKEN_NOT_FOUND']]) {
        const client = new Client(server.url, { ...options, namespace: '/monitor', token });
        await assert.rejects(client.connected, (error) => (error.data?.code ?? error.code) === code);
        client.close();
      }
    });
  });
}

describe('rooms that back ends publish to', () => {
  it('lets members into their tenant and its listeners, and nobody else', async () => {
    const { body: listener } = await server.api(server.tokens.admin, 'POST', '/tenants/default/listeners', { title: 'Thermometer' });
    const { body: page } = await server.api(server.tokens.admin, 'POST', '/tenants/default/listeners', { title: 'Page', kind: 'app_page' });
    const member = await open({});
    const rooms = ['tenant:default', `listener:${listener.listenerID}`, `listener_test:${listener.listenerID}`, `listener:app_page:${page.listenerID}`];
    const { epoch } = await member.emit('join_tenant', 'default');
    for (const room of rooms) assert.deepEqual(await member.emit('join_room', room), { ok: true, room, recovered: false, epoch, offset: 0 });
    assert.deepEqual(await member.emit('join_tenant', 'default'), { ok: true, room: 'tenant:default', recovered: false, epoch, offset: 0 });
    const stranger = await open({ token: await server.token('eve', 'other', 'admin') });
    for (const room of [...rooms, 'tenant:nobody', 'listener:nothing', 'widget:x', member.socket.id, `listener:${page.listenerID}`]) {
      assert.deepEqual(await stranger.emit('join_room', room), { ok: false, error: { code: 'NOT_FOUND', message: `room ${room} not found` } });
    }
    assert.equal((await stranger.emit('join_tenant', 'default')).error.code, 'NOT_FOUND');

    const send = (id, body) => server.api(server.tokens.admin, 'POST', `/tenants/default/listeners/${id}/events`, body);
    await send(listener.listenerID, { data: { temperature: 21.5 } });
    const heard = await member.next('listener_event');
    assert.deepEqual(heard, { ...heard, channelName: `listener:${listener.listenerID}`, data: { temperature: 21.5 }, mode: 'replace', limit: 1000 });
    await send(page.listenerID, { data: 1, mode: 'append', limit: 5 });
    assert.equal((await member.next('listener_event')).channelName, `listener:app_page:${page.listenerID}`);
    await send(listener.listenerID, { data: 2, test: true });
    assert.equal((await member.next('listener_event')).channelName, `listener_test:${listener.listenerID}`);

    assert.deepEqual(await member.emit('leave_room', rooms[1]), { ok: true, room: rooms[1] });
    await send(listener.listenerID, { data: 3 });
    await member.emit('leave_room', 'tenant:default');
    assert.deepEqual(member.received, []);
    assert.deepEqual(stranger.received, []);
    member.close();
    stranger.close();
  });
});
