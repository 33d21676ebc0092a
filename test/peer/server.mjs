// The server that load tests expect, on socket.io from npm:
//
//   node server.mjs <port> [--recovery] [--adapter classic|sharded|streams --redis redis://…]
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { Server } from 'socket.io';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { recovery: { type: 'boolean' }, adapter: { type: 'string' }, redis: { type: 'string' } },
});
const options = { serveClient: false, maxHttpBufferSize: 1e6 };
if (values.recovery) options.connectionStateRecovery = { maxDisconnectionDuration: 120_000, skipMiddlewares: true };
if (values.adapter) options.adapter = await (await import('./adapters.mjs')).adapter(values.adapter, values.redis);

const http = createServer();
const io = new Server(http, options);

io.on('connection', (socket) => {
  socket.on('bench:echo', ({ id, seq }, ack) => ack({ ok: true, id, seq }));
  socket.on('bench:join', (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on('bench:publish', ({ room, count, event, payload }, ack) => {
    for (let i = 0; i < Math.max(count, 1); i++) io.to(room).emit(event, payload);
    ack?.();
  });
});

http.listen(Number(positionals[0]), '127.0.0.1', () => console.log('listening'));
