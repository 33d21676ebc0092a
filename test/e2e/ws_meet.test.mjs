// Meetings: the documented frames from a stock client, and two pages in a real
// browser that open a data channel to each other through the server.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Parser } from '@asyncapi/parser';
import WebSocket from 'ws';
import { openBrowser } from './lib/browser.mjs';
import { limit } from './lib/client.mjs';
import { startTwo } from './lib/cluster.mjs';
import { start } from './lib/server.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const secret = 'known to the TURN server too';

let server, folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meet-'));
  await writeFile(join(folder, 'secret'), `${secret}\n`);
  server = await start({
    env: { ROOMCAST_WEBSOCKET_MEET_TURN_URLS: 'stun:127.0.0.1:3478,turn:127.0.0.1:3478?transport=udp', ROOMCAST_WEBSOCKET_MEET_TURN_SECRETFILE: join(folder, 'secret'), ROOMCAST_WEBSOCKET_MEET_CAPACITY: '3' },
  });
});
after(async () => {
  await rm(folder, { recursive: true, force: true });
  assert.equal(await server.stop(), 0);
});

const at = (path, token, on = server) => `${on.url.replace('http', 'ws')}${path}${token ? `?token=${token}` : ''}`;

// A frame reader over npm's ws.
class Meeter {
  static async open(path, token, on = server) {
    const m = new Meeter();
    m.frames = [];
    m.wake = () => {};
    m.ws = new WebSocket(at(path, token, on));
    m.ws.on('message', (data) => (m.frames.push(JSON.parse(data)), m.wake()));
    m.closed = new Promise((resolve) => m.ws.on('close', (code) => resolve(code)));
    await new Promise((resolve, reject) => m.ws.on('open', resolve).on('error', reject));
    return m;
  }

  send(frame) {
    this.ws.send(JSON.stringify(frame));
  }

  // next returns the next frame, which is of a type if one is given.
  async next(type) {
    while (!this.frames.length) await limit(type, new Promise((resolve) => (this.wake = resolve)));
    const frame = this.frames.shift();
    if (type) assert.equal(frame.type, type, JSON.stringify(frame));
    return frame;
  }
}

it('speaks as documented', async () => {
  const [john, jane] = [await Meeter.open('/ws/meet', await server.token('john')), await Meeter.open('/ws/meet')];
  jane.send({ type: 'auth', token: await server.token('jane') });
  john.send({ type: 'join', room_id: 'room-uuid', participant_name: 'John' });
  const me = (await john.next('joined')).participant_id;
  jane.send({ type: 'join', room_id: 'room-uuid', participant_name: 'Jane' });
  const joined = await jane.next('joined');
  assert.deepEqual(joined.participants.map((p) => [p.participant_id, p.participant_name]), [[me, 'John']]);
  await john.next('participant_joined');
  jane.send({ type: 'signal', room_id: 'room-uuid', target_id: me, signal: { any: ['thing'] } });
  assert.deepEqual(await john.next('signal'), { type: 'signal', room_id: 'room-uuid', from_id: joined.participant_id, signal: { any: ['thing'] } });
  jane.send({ type: 'leave', room_id: 'room-uuid' });
  assert.equal((await john.next('participant_left')).reason, 'left');
  john.ws.close();
  jane.ws.close();
});

it('forgets who was there when the server was killed', async () => {
  const own = await start();
  const ann = new WebSocket(`${own.url.replace('http', 'ws')}/ws/meet/r?token=${own.tokens.member}`);
  await new Promise((resolve) => ann.on('open', resolve));
  ann.send(JSON.stringify({ type: 'join', participant_name: 'Ann' }));
  await new Promise((resolve) => ann.on('message', resolve));
  own.signal('SIGKILL');
  await own.exited;
  const again = await start({ data: own.data });
  const bob = new WebSocket(`${again.url.replace('http', 'ws')}/ws/meet/r?token=${again.tokens.member}`);
  await new Promise((resolve) => bob.on('open', resolve));
  const last = new Promise((resolve) => {
    bob.on('message', (data) => {
      const frame = JSON.parse(data);
      if (frame.type === 'participant_list' && frame.participants.length === 1) resolve(frame);
      if (frame.type === 'user_left') bob.send(JSON.stringify({ type: 'join', participant_name: 'Bob' }));
    });
  });
  bob.send(JSON.stringify({ type: 'join', participant_name: 'Bob' }));
  assert.equal((await limit('the others to be gone', last)).participants[0].name, 'Bob');
  bob.close();
  assert.equal(await again.stop(), 0);
});

it('is one meeting on two servers, which loses who was on one that is stopped short or killed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'meet-two-'));
  await writeFile(join(folder, 'c.yaml'), 'instance: {heartbeat: 300ms, expiry: 1s}\nwebsocket: {meet: {capacity: 5}}\n');
  const two = await startTwo({ args: ['--config', join(folder, 'c.yaml')] });
  const [one, other] = two.servers;
  try {
    // As many get in as there are places, wherever they come.
    const crowd = await Promise.all(Array.from({ length: 20 }, (_, n) => Meeter.open('/ws/meet', one.tokens.member, two.servers[n % 2])));
    for (const m of crowd) m.send({ type: 'join', room_id: 'full', participant_name: 'N' });
    const answers = await Promise.all(crowd.map(async (m) => {
      for (;;) {
        const frame = await m.next();
        if (frame.type === 'joined' || frame.code === 'ROOM_FULL') return frame.type;
      }
    }));
    assert.equal(answers.filter((type) => type === 'joined').length, 5);
    for (const m of crowd) m.ws.terminate();

    const bob = await Meeter.open('/ws/meet', other.tokens.member, other);
    bob.send({ type: 'join', room_id: 'r', participant_name: 'Bob' });
    await bob.next('joined');
    // Who comes while its server is not there yet is told, and tries again.
    const enter = async () => {
      for (;;) {
        const ann = await Meeter.open('/ws/meet/r', one.tokens.member, one);
        ann.send({ type: 'join', participant_id: 'ann', participant_name: 'Ann' });
        if ((await ann.next()).type === 'user_joined') return ann;
        ann.ws.terminate();
      }
    };
    let ann = await enter();
    await bob.next('participant_joined');
    one.signal('SIGSTOP');
    assert.deepEqual(await bob.next('participant_left'), { type: 'participant_left', room_id: 'r', participant_id: 'ann', reason: 'disconnected' });
    one.signal('SIGCONT');
    assert.equal(await limit('the end of a meeting that went on without her', ann.closed), 1001);
    ann = await enter();
    await bob.next('participant_joined');
    one.signal('SIGKILL');
    await bob.next('participant_left');
    assert.equal(await limit('the end of the connection', ann.closed), 1006);
    bob.ws.close();
  } finally {
    one.signal('SIGKILL'); // also if it still stands still
    assert.equal((await two.stop())[0], 0);
    await rm(folder, { recursive: true });
  }
});

it('gives credentials for TURN to who is signed in', async () => {
  for (const path of ['/api/v1/meet/turn-credentials', '/api/meet/turn-credentials']) {
    assert.equal((await fetch(server.url + path)).status, 401);
    const response = await fetch(server.url + path, { headers: { Authorization: `Bearer ${await server.token('john')}` } });
    assert.equal(response.status, 200);
    const [stun, turn] = (await response.json()).ice_servers;
    assert.deepEqual(stun, { urls: ['stun:127.0.0.1:3478'] });
    assert.deepEqual(turn.urls, ['turn:127.0.0.1:3478?transport=udp']);
    const [expiry, user] = turn.username.split(':');
    assert.equal(user, 'john');
    assert.ok(Math.abs(expiry - Date.now() / 1000 - 3600) < 60);
    assert.equal(turn.credential, createHmac('sha1', secret).update(turn.username).digest('base64'));
  }
  assert.doesNotMatch(server.log(), new RegExp(secret));
});

// What runs in a page: a client of one of the two paths that calls who comes
// after it, and says hello over the data channel.
function party({ url, room, name, servers }) {
  const ws = new WebSocket(url);
  const peers = new Map();
  const result = new Promise((resolve, reject) => {
    const peer = (id) => {
      if (peers.has(id)) return peers.get(id);
      const pc = new RTCPeerConnection({ iceServers: servers });
      peers.set(id, pc);
      const chat = (channel) => {
        channel.onopen = () => channel.send(`hello from ${name}`);
        channel.onmessage = ({ data }) => resolve(data);
      };
      pc.ondatachannel = ({ channel }) => chat(channel);
      pc.onicecandidate = ({ candidate }) => candidate && send(id, 'ice_candidate', { candidate: candidate.toJSON() });
      pc.chat = () => chat(pc.createDataChannel('chat'));
      return pc;
    };
    const send = (id, type, body) => {
      const signal = { type: type === 'ice_candidate' ? 'candidate' : type, ...body };
      ws.send(JSON.stringify(room ? { type: 'signal', room_id: room, target_id: id, signal } : { type, target_id: id, ...body }));
    };
    const offer = async (id) => {
      const pc = peer(id);
      pc.chat();
      await pc.setLocalDescription();
      send(id, 'offer', { sdp: pc.localDescription.sdp });
    };
    let here = false;
    const handle = async (frame) => {
      const signal = frame.signal ?? frame;
      const type = frame.type === 'signal' ? signal.type : frame.type;
      switch (type) {
        case 'joined': case 'participant_list':
          here = true;
          break;
        case 'participant_joined': case 'user_joined': // after us
          if (here) await offer(frame.participant_id);
          break;
        case 'offer': {
          const pc = peer(frame.from_id);
          await pc.setRemoteDescription({ type, sdp: signal.sdp });
          await pc.setLocalDescription();
          send(frame.from_id, 'answer', { sdp: pc.localDescription.sdp });
          break;
        }
        case 'answer':
          await peer(frame.from_id).setRemoteDescription({ type, sdp: signal.sdp });
          break;
        case 'ice_candidate': case 'candidate':
          await peer(frame.from_id).addIceCandidate(signal.candidate);
          break;
        case 'error':
          throw new Error(frame.message);
      }
    };
    let last = Promise.resolve();
    ws.onmessage = ({ data }) => (last = last.then(() => handle(JSON.parse(data))).catch(reject));
    ws.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
  });
  window.result = result;
  result.catch(() => {});
  return new Promise((resolve) => (ws.onopen = () => {
    ws.send(JSON.stringify({ type: 'join', ...(room ? { room_id: room } : {}), participant_name: name }));
    resolve();
  }));
}

it('opens data channels between two pages, whatever their words', async () => {
  const browser = await openBrowser('--allow-loopback-in-peer-connection', '--disable-features=WebRtcHideLocalIpsWithMdns');
  try {
    for (const [first, second] of [['bare', 'bare'], ['path', 'bare']]) {
      const room = `call ${first} ${second}`;
      const pages = [];
      for (const [name, kind] of [['ann', first], ['bob', second]]) {
        const page = await browser.newPage();
        await page.goto(`${server.url}/health`); // any page of the server's origin
        const token = await server.token(name);
        const path = kind === 'bare' ? '/ws/meet' : `/ws/meet/${encodeURIComponent(room)}`;
        await page.evaluate(party, { url: at(path, token), room: kind === 'bare' ? room : '', name, servers: [] });
        pages.push(page);
      }
      const heard = await Promise.all(pages.map((page) => limit(`the data channel of ${room}`, page.evaluate(() => window.result), 30_000)));
      assert.deepEqual(heard, ['hello from bob', 'hello from ann'], room);
      for (const page of pages) await page.close();
    }
  } finally {
    await browser.close();
  }
});

it('is described by a document that the official tools take', async () => {
  const text = await (await fetch(`${server.url}/asyncapi/ws-meet.yaml`)).text();
  const { document, diagnostics } = await new Parser().parse(text);
  assert.deepEqual(diagnostics.filter((d) => d.code !== 'asyncapi-latest-version'), []);
  assert.deepEqual(document.channels().all().map((c) => c.address()), ['/ws/meet', '/ws/meet/{room}']);
  const file = join(folder, 'ws-meet.yaml');
  await writeFile(file, text);
  const output = await new Promise((resolve) => {
    execFile(join(here, 'node_modules/.bin/spectral'), ['lint', file, '--ruleset', join(here, 'spectral.yaml'), '--format', 'json'], (_, stdout) => resolve(stdout));
  });
  assert.deepEqual(JSON.parse(output).filter((d) => d.code !== 'asyncapi-latest-version'), []);
});
