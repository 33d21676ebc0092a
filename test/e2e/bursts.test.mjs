// Nothing is lost and nothing overtakes, however much comes at once.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client, limit, matrix, transports } from './lib/client.mjs';
import { start } from './lib/server.mjs';

let server;
before(async () => (server = await start()));
after(async () => assert.equal(await server.stop(), 0));

// wide is a workflow whose nodes all become ready at the same moment.
function wide(nodes) {
  const definition = {
    nodes: [
      { id: 'start', type: 'start', data: {} },
      { id: 'wait', type: 'dataCollection', data: { title: 'go' } },
    ],
    edges: [{ id: 'go', source: 'start', target: 'wait' }],
  };
  for (let i = 0; i < nodes; i++) {
    definition.nodes.push({ id: `n${i}`, type: 'transform', data: { expression: '1' } });
    definition.edges.push({ id: `e${i}`, source: 'wait', target: `n${i}` });
  }
  return definition;
}

describe('1,000 publications in a burst', () => {
  for (const transport of Object.keys(transports)) {
    it(`reach 10 clients over ${transport}, all of them in order`, async () => {
      const path = '/tenants/default/workflows';
      const count = 997; // and start, wait, the end of the run
      const { body } = await server.api(server.tokens.admin, 'POST', `${path}/test`, wide(count));
      const { instanceID } = body;
      const clients = await Promise.all(Array.from({ length: 10 }, () => Client.open(server.url, { transport, token: server.tokens.member })));
      for (const client of clients) assert.equal((await client.emit('workflow_run_join', { runId: instanceID })).ok, true);
      const pending = (await server.api(server.tokens.member, 'GET', `${path}/instances/${instanceID}`)).body.pendingDataCollection;
      await server.api(server.tokens.member, 'POST', `${path}/data-collection`, { collectionRequestID: pending[0].collectionRequestID, submittedData: {} });
      const received = await Promise.all(clients.map((c) => c.until((e) => e.name === 'workflow_status_update')));
      const { body: run } = await server.api(server.tokens.member, 'GET', `${path}/instances/${instanceID}`);
      const order = run.logs.filter((e) => e.type === 'NODE_COMPLETED').map((e) => e.nodeID);
      assert.equal(order.length, count + 2);
      for (const events of received) {
        const updates = events.filter((e) => e.name !== 'workflow_data_collection_request');
        assert.equal(updates.length, 1000 );
        assert.deepEqual(updates.slice(0, -1).map((e) => e.payload.nodeID), order);
      }
      for (const client of clients) client.close();
    });
  }
});

describe('3,000 events of one client', () => {
  for (const options of matrix) {
    it(`are handled in order from socket.io-client ${options.version} over ${options.transport}`, async () => {
      const client = await Client.open(server.url, { ...options, token: server.tokens.member });
      const acks = [];
      for (let i = 0; i < 1500; i++) {
        // Every other one asks for no acknowledgement: its failure is an event.
        client.send(`no_such_event_${i}`);
        client.socket.emit('leave_room', `tenant:${i}`, (ack) => acks.push(ack.room));
      }
      const events = await client.until((e) => e.payload.event === 'no_such_event_1499');
      assert.deepEqual(events.map((e) => e.payload.event), Array.from({ length: 1500 }, (_, i) => `no_such_event_${i}`));
      await limit('the acknowledgements', new Promise((resolve) => {
        const timer = setInterval(() => acks.length === 1500 && (clearInterval(timer), resolve()), 5);
      }));
      assert.deepEqual(acks, Array.from({ length: 1500 }, (_, i) => `tenant:${i}`));
      client.close();
    });
  }
});
