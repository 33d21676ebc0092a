// The official clients of three versions behind one face.
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-v2';
import { io as io3 } from 'socket.io-client-v3';

const libraries = { 4: io4, 3: io3, 2: io2 };

// transports are the ways to the server that every client has.
export const transports = {
  polling: { transports: ['polling'], upgrade: false },
  websocket: { transports: ['websocket'] },
  upgrade: { transports: ['polling', 'websocket'] },
};

// matrix is every version on every transport.
export const matrix = [4, 3, 2].flatMap((version) => Object.keys(transports).map((transport) => ({ version, transport })));

// traffic is everything that clients of this process have sent and received.
export const traffic = [];

// patience is how long to wait for what must come.
const patience = 15_000;

export class Client {
  constructor(url, { version = 4, transport = 'websocket', namespace = '/', token, auth, more } = {}) {
    const credentials = version === 2 ? { query: { token } } : { auth: auth ?? { token } };
    this.namespace = namespace;
    this.socket = libraries[version](url + (namespace === '/' ? '' : namespace), {
      ...transports[transport], ...(token || auth ? credentials : {}), forceNew: true, reconnection: false, ...more,
    });
    this.received = [];
    this.waiting = [];
    const deliver = this.socket.onevent.bind(this.socket);
    this.socket.onevent = (packet) => {
      this.#record('subscribe', packet.data[0], packet.data[1]);
      deliver(packet);
    };
    this.connected = new Promise((resolve, reject) => {
      this.socket.on('connect', resolve);
      for (const event of ['connect_error', 'error']) {
        this.socket.on(event, (error) => reject(error));
      }
    });
    this.connected.catch(() => {});
    this.closed = new Promise((resolve) => this.socket.on('disconnect', (reason, details) => resolve({ reason, details })));
  }

  static async open(url, options) {
    const client = new Client(url, options);
    await client.connected;
    return client;
  }

  #record(operation, name, payload) {
    traffic.push({ channel: this.namespace, operation, name, payload });
    if (operation !== 'subscribe') return;
    const event = { name, payload };
    const at = this.waiting.findIndex((w) => w.match(event));
    if (at >= 0) this.waiting.splice(at, 1)[0].resolve(event.payload);
    else this.received.push(event);
  }

  // emit sends an event and returns its acknowledgement.
  emit(name, ...args) {
    if (args.length) traffic.push({ channel: this.namespace, operation: 'publish', name, payload: args[0] });
    return limit(`the acknowledgement of ${name}`, new Promise((resolve) => {
      this.socket.emit(name, ...args, (ack) => {
        traffic.push({ channel: this.namespace, operation: 'subscribe', name: `${name}_ack`, payload: ack });
        resolve(ack);
      });
    }));
  }

  // send emits an event without asking for an acknowledgement.
  send(name, ...args) {
    if (args.length) traffic.push({ channel: this.namespace, operation: 'publish', name, payload: args[0] });
    this.socket.emit(name, ...args);
  }

  // next returns the payload of the next event of a name, or of one that a
  // function chooses, and takes it out of what was received.
  next(name, choose = () => true) {
    const match = (event) => event.name === name && choose(event.payload);
    const at = this.received.findIndex(match);
    if (at >= 0) return Promise.resolve(this.received.splice(at, 1)[0].payload);
    return limit(`${name}; received: ${JSON.stringify(this.received)}`, new Promise((resolve) => this.waiting.push({ match, resolve })));
  }

  // until collects events in their order, to the first that a function chooses.
  async until(last) {
    const events = [];
    for (;;) {
      const at = this.received.length ? this.received.shift() : null;
      const event = at ?? await limit(`more events after ${JSON.stringify(events.slice(-3))}`, new Promise((resolve) => {
        this.waiting.push({ match: (e) => (resolve(e), true), resolve: () => {} });
      }));
      events.push(event);
      if (last(event)) return events;
    }
  }

  close() {
    this.socket.disconnect();
  }
}

export function limit(what, promise, ms = patience) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`still waiting for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
