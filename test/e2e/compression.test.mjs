// With socket.compression on, stock clients that ask for it get long messages
// compressed, and may send them so.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { io } from 'socket.io-client';
import { start } from './lib/server.mjs';

let server;
before(async () => (server = await start({ env: { ROOMCAST_SOCKET_COMPRESSION: 'true' } })));
after(async () => assert.equal(await server.stop(), 0));

it('compresses both ways', { timeout: 15_000 }, async (t) => {
  const socket = io(server.url, {
    transports: ['websocket'], auth: { token: server.tokens.member }, perMessageDeflate: { threshold: 100 },
  });
  t.after(() => socket.close());
  await new Promise((resolve, reject) => socket.on('connect', resolve).on('connect_error', reject));
  const { ws } = socket.io.engine.transport;
  assert.match(ws.extensions, /permessage-deflate/);
  const fromServer = ws._socket.bytesRead;
  const toServer = ws._socket.bytesWritten;
  const long = 'z'.repeat(60_000);
  const reply = await socket.emitWithAck('leave_room', long); // refused, with part of the name
  assert.equal(reply.ok, false);
  assert.ok(ws._socket.bytesWritten - toServer < 10_000, 'the client sent it as it was');
  const { status, body } = await server.api(server.tokens.admin, 'POST', `/tenants/${server.tenant}/workflows/test`, {
    nodes: [
      { id: 'start', type: 'start', data: {} },
      { id: 'wait', type: 'dataCollection', data: { title: 'form', formSchema: { type: 'object', description: long } } },
    ],
    edges: [{ id: 'e', source: 'start', target: 'wait' }],
  });
  assert.equal(status, 201, JSON.stringify(body).slice(0, 300));
  const requested = new Promise((resolve) => socket.on('workflow_data_collection_request', resolve));
  const joined = await socket.emitWithAck('workflow_run_join', { runId: body.instanceID });
  assert.equal(joined.ok, true, JSON.stringify(joined).slice(0, 300));
  assert.equal((await requested).collectionConfig.formSchema.description, long);
  assert.ok(ws._socket.bytesRead - fromServer < 30_000, 'the server sent it as it was');
});
