// Clients that speak plain WebSocket, behind one face: each is opened with an
// address and what to call with every message and with the code at the end, and
// has send and close.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { limit } from './client.mjs';

const here = dirname(fileURLToPath(import.meta.url));

// node is the package ws.
export const node = async (url, message, closed) => {
  const ws = new WebSocket(url);
  ws.on('message', (data) => message(String(data)));
  ws.on('close', closed);
  await new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject));
  return { send: (text) => ws.send(text), close: () => ws.close() };
};

// python runs a program of the folder python, which takes the address and
// speaks lines, with Debian's Python.
export const python = (program) => async (url, message, closed) => {
  const child = spawn('/usr/bin/python3', [join(here, '../python', program), url], { stdio: ['pipe', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const end = JSON.parse(line).closed;
    if (end === undefined) message(line);
    else closed(end);
  });
  return { send: (text) => child.stdin.write(`${text}\n`), close: () => child.stdin.end() };
};

// browser is the WebSocket of a page.
export const browser = (page) => async (url, message, closed) => {
  const name = `heard${Math.random().toString(36).slice(2)}`;
  await page.exposeFunction(name, (text, code) => (text === null ? closed(code) : message(text)));
  const ws = await page.evaluateHandle(([address, tell]) => new Promise((resolve, reject) => {
    const socket = new WebSocket(address);
    socket.onmessage = ({ data }) => window[tell](data);
    socket.onclose = ({ code }) => window[tell](null, code);
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error('no connection'));
  }), [url, name]);
  return { send: (text) => ws.evaluate((socket, t) => socket.send(t), text), close: () => ws.evaluate((socket) => socket.close()) };
};

// Frames is a client that keeps what it gets until somebody asks.
export class Frames {
  static async open(kind, url) {
    const client = new Frames();
    client.received = [];
    client.waiting = [];
    client.closed = new Promise((resolve) => (client.end = resolve));
    client.wire = await kind(url, (text) => client.#take(JSON.parse(text)), client.end);
    return client;
  }

  #take(frame) {
    const at = this.waiting.findIndex((w) => w.match(frame));
    if (at >= 0) this.waiting.splice(at, 1)[0].resolve(frame);
    else this.received.push(frame);
  }

  send(frame) {
    return this.wire.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  // next returns the next frame of a type, or of several, that a function
  // chooses, and takes it out of what was received.
  next(type, choose = () => true) {
    const match = (frame) => [type].flat().includes(frame.type) && choose(frame);
    const at = this.received.findIndex(match);
    if (at >= 0) return Promise.resolve(this.received.splice(at, 1)[0]);
    return limit(`${type}; received: ${JSON.stringify(this.received)}`, new Promise((resolve) => this.waiting.push({ match, resolve })));
  }

  close() {
    this.wire.close();
    return limit('the end of the connection', this.closed);
  }
}
