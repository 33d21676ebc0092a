// What stock clients of version 4 get when they lose their connection and come
// back: the same session, its rooms, its widgets, and everything since.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { io } from 'socket.io-client';
import { limit, transports } from './lib/client.mjs';
import { start, workflow } from './lib/server.mjs';

let server, order, listener;
const sockets = [];

before(async () => {
  server = await start({});
  order = await workflow(server, 'Order approval');
  ({ body: listener } = await server.api(server.tokens.admin, 'POST', '/tenants/default/listeners', { title: 'Thermometer' }));
});

after(async () => {
  for (const socket of sockets) socket.disconnect();
  assert.equal(await server.stop(), 0);
});

const say = (data) => server.api(server.tokens.admin, 'POST', `/tenants/default/listeners/${listener.listenerID}/events`, { data });

// open connects a client as a page would, with nothing for recovery.
async function open(transport, token = server.tokens.member) {
  const socket = io(server.url, { ...transports[transport], auth: { token }, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 100 });
  sockets.push(socket);
  await limit('connect', once(socket, 'connect'));
  return socket;
}

// cut ends the connection below the client, which then comes back by itself.
async function cut(socket, meanwhile) {
  const back = once(socket, 'connect');
  socket.io.engine.close();
  await meanwhile();
  await limit('the client to come back', back);
}

for (const transport of Object.keys(transports)) {
  describe(`connection state recovery over ${transport}`, () => {
    it('brings a client to where it would be', async () => {
      const socket = await open(transport);
      const heard = [];
      socket.on('listener_event', (e) => heard.push(e.data));
      await socket.emitWithAck('join_room', `listener:${listener.listenerID}`);
      const { id } = socket;
      await say(1);
      await cut(socket, async () => {
        await say(2);
        await say(3);
      });
      assert.equal(socket.recovered, true);
      assert.equal(socket.id, id);
      await say(4);
      await limit('what was said', (async () => { while (heard.length < 4) await once(socket, 'listener_event'); })());
      assert.deepEqual(heard, [1, 2, 3, 4]);
      await cut(socket, () => say(5));
      assert.equal(socket.recovered, true);
      await limit('what was said', (async () => { while (heard.length < 5) await once(socket, 'listener_event'); })());
      assert.deepEqual(heard, [1, 2, 3, 4, 5]);
      socket.disconnect();
    });

    it('keeps widgets bound to their runs', async () => {
      const socket = await open(transport);
      const events = [];
      socket.onAny((name, payload) => events.push({ name, payload }));
      const next = async (name) => {
        for (;;) {
          const at = events.findIndex((e) => e.name === name);
          if (at >= 0) return events.splice(at, 1)[0].payload;
          await limit(name, new Promise((resolve) => socket.prependAny(resolve)));
        }
      };
      const widgetID = randomUUID();
      socket.emit('widget_workflow_connect', { widgetID, workflowID: order, inputParams: { amount: 5000 } });
      const { instanceID } = await next('widget_workflow_connected');
      const { collectionRequestID } = await next('workflow_data_collection_request');
      await cut(socket, async () => {
        const { status, body } = await server.api(server.tokens.member, 'POST', '/tenants/default/workflows/data-collection', { collectionRequestID, submittedData: { approved: true } });
        assert.equal(status, 200, JSON.stringify(body));
      });
      assert.equal(socket.recovered, true);
      const status = await next('widget_workflow_status');
      assert.deepEqual([status.widgetID, status.instanceID, status.status], [widgetID, instanceID, 'COMPLETED']);
      const updates = events.filter((e) => e.name === 'widget_context_update').map((e) => e.payload.update.nodeID);
      assert.deepEqual(updates, [...new Set(updates)]);
      const nodes = events.filter((e) => e.name === 'workflow_node_update').map((e) => e.payload.nodeID);
      assert.deepEqual(nodes, [...new Set(nodes)]);
      assert.deepEqual(nodes, updates);
      socket.disconnect();
    });

    it('gives nobody the session of another, and none that was left', async () => {
      const socket = await open(transport);
      const { id } = socket;
      socket.auth = { token: server.tokens.admin };
      await cut(socket, async () => {});
      assert.equal(socket.recovered, false);
      assert.notEqual(socket.id, id);
      socket.disconnect();
      const back = once(socket, 'connect');
      socket.connect();
      await limit('connect', back);
      assert.equal(socket.recovered, false);
      socket.disconnect();
    });
  });
}
