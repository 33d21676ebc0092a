// A member of a cluster on socket.io from npm, told by a test what to do:
//
//   node cluster.mjs --name n1 --adapter classic|sharded|streams --redis redis://…
//
// Its sockets join rooms with the event "join". What other servers emit to it
// with serverSideEmit under the name "side" is kept; "side:ask" is answered
// with its name.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { Server } from 'socket.io';
import { adapter } from './adapters.mjs';
import { decode, serve } from './control.mjs';

const { values } = parseArgs({ options: { name: { type: 'string' }, adapter: { type: 'string' }, redis: { type: 'string' } } });
const http = createServer();
const io = new Server(http, { serveClient: false, adapter: await adapter(values.adapter, values.redis) });
const heard = [];

for (const name of ['/', '/custom']) {
  const namespace = io.of(name);
  namespace.use((socket, next) => {
    socket.data.name = socket.handshake.auth.name;
    next();
  });
  namespace.on('connection', (socket) => {
    socket.on('join', (rooms, ack) => {
      socket.join(rooms);
      ack({ ok: true });
    });
  });
  namespace.on('side', (...args) => heard.push([name, ...args]));
  namespace.on('side:ask', (...args) => args.at(-1)(values.name));
  namespace.on('side:silent', () => {});
}

// select returns the operator that a command describes.
function select({ ns = '/', rooms = [], except = [], local, volatile, timeout }) {
  let to = io.of(ns).to(rooms).except(except);
  if (local) to = to.local;
  if (volatile) to = to.volatile;
  if (timeout) to = to.timeout(timeout);
  return to;
}

const ops = {
  emit: (c) => void select(c).emit(c.event, ...decode(c.args ?? [])),
  ask: (c) => new Promise((resolve) => {
    select(c).emit(c.event, ...decode(c.args ?? []), (error, acks) => resolve({ late: Boolean(error), acks }));
  }),
  fetch: async (c) => (await select(c).fetchSockets()).map(({ id, rooms, data, handshake }) => ({ id, rooms: [...rooms], data, auth: handshake.auth })),
  join: (c) => void select(c).socketsJoin(c.names),
  leave: (c) => void select(c).socketsLeave(c.names),
  disconnect: (c) => void select(c).disconnectSockets(c.close),
  side: (c) => void io.of(c.ns ?? '/').serverSideEmit(c.event, ...decode(c.args ?? [])),
  sideAsk: (c) => new Promise((resolve) => {
    io.of(c.ns ?? '/').serverSideEmit(c.event, ...decode(c.args ?? []), (error, acks) => resolve({ late: Boolean(error), acks }));
  }),
  heard: () => heard.splice(0),
  servers: () => io.of('/').adapter.serverCount(),
  allRooms: async () => [...(await io.of('/').adapter.allRooms())],
};

http.listen(0, '127.0.0.1', () => serve(ops, { url: `http://127.0.0.1:${http.address().port}` }));
