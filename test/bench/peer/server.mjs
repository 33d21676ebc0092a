// The server that load tests expect, on socket.io from npm.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer();
const io = new Server(http, { serveClient: false, maxHttpBufferSize: 1e6 });

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

http.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'));
