// Stock clients, told by a test what to do. Every event that one gets is kept.
// Events that begin with "ask:" are acknowledged: with nothing, with the
// client's name, with its name and more, or, "ask:some", only by those whose
// name does not end with 2.
import { io } from 'socket.io-client';
import { decode, encode, serve } from './control.mjs';

const clients = new Map();

class Client {
  constructor({ name, url, ns = '/' }) {
    this.received = [];
    this.waiting = [];
    this.socket = io(url + (ns === '/' ? '' : ns), { transports: ['websocket'], forceNew: true, reconnection: false, auth: { name } });
    this.socket.onAny((event, ...args) => this.#take(name, event, args));
    this.connected = new Promise((resolve, reject) => {
      this.socket.on('connect', resolve);
      this.socket.on('connect_error', reject);
    });
    this.closed = new Promise((resolve) => this.socket.on('disconnect', resolve));
  }

  #take(name, event, args) {
    const ack = typeof args.at(-1) === 'function' ? args.pop() : undefined;
    this.received.push({ event, args: encode(args), asked: Boolean(ack) });
    if (event === 'ask:none') ack();
    if (event === 'ask:one' || (event === 'ask:some' && !name.endsWith('2'))) ack(name);
    if (event === 'ask:several') ack(name, 2, { more: [true] });
    if (event === 'ask:binary') ack(Buffer.from(name));
    this.waiting = this.waiting.filter((check) => !check());
  }

  // until returns what came before the fence with a number.
  until(fence) {
    return new Promise((resolve) => {
      const check = () => {
        const at = this.received.findIndex(({ event, args }) => event === 'fence' && args[0] === fence);
        if (at < 0) return false;
        resolve(this.received.splice(0, at + 1).slice(0, -1));
        return true;
      };
      if (!check()) this.waiting.push(check);
    });
  }
}

const ops = {
  async connect(c) {
    const client = new Client(c);
    await client.connected;
    clients.set(c.name, client);
    return client.socket.id;
  },
  call: (c) => clients.get(c.name).socket.timeout(10_000).emitWithAck(c.event, ...decode(c.args)),
  until: (c) => clients.get(c.name).until(c.fence),
  closed: (c) => clients.get(c.name).closed,
  close: (c) => void clients.get(c.name).socket.disconnect(),
};

serve(ops, {});
