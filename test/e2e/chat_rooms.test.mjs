// Conversations of several: members hear each other, page through what was
// said, come late, are removed, and lose the room; on one server and on two.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client, matrix } from './lib/client.mjs';
import { startTwo } from './lib/cluster.mjs';
import { checkTraffic } from './lib/contract.mjs';
import { start } from './lib/server.mjs';

const spoken = (e) => e.name === 'ai_chat_member_message' || e.name === 'ai_chat_bot_message';
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

// hear returns the offsets of what a client has got, when it has got the last.
async function hear(client, last) {
  const events = await client.until((e) => spoken(e) && e.payload.offset === last);
  return events.filter(spoken).map((e) => e.payload.offset);
}

// world is one server or two, with the users ada and bob.
class World {
  constructor(servers) {
    this.servers = servers;
    this.path = `/tenants/${servers[0].tenant}/chat/rooms`;
  }

  async begin() {
    [this.ada, this.bob] = await Promise.all(['ada', 'bob'].map((user) => this.servers[0].token(user)));
    return this;
  }

  open(token, at = 0, options = {}) {
    return Client.open(this.servers[at % this.servers.length].url, { token, ...options });
  }

  // api asks the server that is not the first, if there are two.
  async api(token, method, path, body) {
    const { status, body: answer } = await this.servers.at(-1).api(token, method, this.path + path, body);
    return status < 300 ? answer : { status, ...answer.error };
  }

  // room returns a conversation of ada's that bob may take part in, and in which
  // two messages have been said.
  async room() {
    const client = await this.open(this.ada);
    const { chatRoomID } = await client.emit('ai_chat_room_join');
    await client.emit('ai_chat_user_message', { chatRoomID, message: 'help' });
    await client.next('ai_chat_bot_message');
    const { members } = await this.api(this.ada, 'PUT', `/${chatRoomID}/members/bob`);
    assert.deepEqual(members.map((m) => [m.userID, m.owner]), [['ada', true], ['bob', undefined]]);
    client.close();
    return chatRoomID;
  }
}

const checks = {
  async 'two users with two tabs each hear everything once, in order'(world, options) {
    const chatRoomID = await world.room();
    const tabs = await Promise.all([0, 1, 2, 3].map((i) => world.open(i < 2 ? world.ada : world.bob, i, options)));
    for (const tab of tabs) {
      const { messages } = await tab.emit('ai_chat_room_join', { chatRoomID });
      assert.deepEqual(messages.map((m) => [m.type, m.offset, m.userID]), [['user', 1, 'ada'], ['bot', 2, undefined]]);
    }
    const acks = await Promise.all(tabs.flatMap((tab, i) => [1, 2].map((n) => tab.emit('ai_chat_user_message', { chatRoomID, message: `${i} ${n}` }))));
    assert.ok(acks.every((ack) => ack.ok), JSON.stringify(acks));
    for (const tab of tabs) assert.deepEqual(await hear(tab, 18), range(3, 18));
    const { messages } = await tabs[0].emit('ai_chat_history', { chatRoomID });
    acks.forEach(({ offset }, i) => {
      const said = messages[offset - 1];
      assert.deepEqual([said.text, said.userID, said.offset], [`${i >> 1} ${1 + i % 2}`, i < 4 ? 'ada' : 'bob', offset]);
    });
    for (const tab of tabs) tab.close();
  },

  async 'who comes late, or again with since, gets messages and answers in order, once'(world, options) {
    const chatRoomID = await world.room();
    const ada = await world.open(world.ada, 0, options);
    const { epoch } = await ada.emit('ai_chat_room_join', { chatRoomID });
    const talk = (async () => {
      for (let i = 0; i < 8; i++) await ada.emit('ai_chat_user_message', { chatRoomID, message: `${i}` });
    })();
    const joined = [];
    for (let i = 0; i < 6; i++) {
      const bob = await world.open(world.bob, i, options);
      const since = i % 2 ? { since: { epoch, offset: 2 } } : {};
      joined.push([bob, await bob.emit('ai_chat_room_join', { chatRoomID, ...since })]);
    }
    await talk;
    for (const [i, [bob, ack]] of joined.entries()) {
      assert.deepEqual([ack.ok, ack.recovered], [true, i % 2 === 1]);
      // Without since the acknowledgement has what comes before the events.
      const known = i % 2 ? [] : ack.messages.map((m) => m.offset);
      const heard = known.at(-1) === 18 ? [] : await hear(bob, 18);
      assert.deepEqual([...known, ...heard], range(i % 2 ? 3 : 1, 18));
      bob.close();
    }
    ada.close();
  },

  async 'pages have no gap and repeat nothing while more is said'(world, options) {
    const chatRoomID = await world.room();
    const [ada, bob] = [await world.open(world.ada, 0, options), await world.open(world.bob, 1, options)];
    await ada.emit('ai_chat_room_join', { chatRoomID });
    for (let i = 0; i < 10; i++) {
      await ada.emit('ai_chat_user_message', { chatRoomID, message: `${i}` });
      await ada.next('ai_chat_bot_message');
    }
    for (const page of [
      (before) => bob.emit('ai_chat_history', { chatRoomID, limit: 4, ...(before && { before }) }),
      (before) => world.api(world.bob, 'GET', `/${chatRoomID}/messages?limit=4${before ? `&before=${before}` : ''}`),
    ]) {
      let read = [];
      for (let more = true; more;) {
        const got = await page(read[0]?.offset);
        read = [...got.messages, ...read];
        ({ more } = got);
        await ada.emit('ai_chat_user_message', { chatRoomID, message: 'meanwhile' });
        await ada.next('ai_chat_bot_message');
      }
      assert.deepEqual(read.map((m) => m.offset), range(1, read.length));
      assert.deepEqual(read.slice(0, 2).map((m) => [m.type, m.text === 'help', m.finishReason]), [['user', true, undefined], ['bot', false, 'stop']]);
    }
    ada.close();
    bob.close();
  },

  async 'a removed member hears nothing any more'(world, options) {
    const chatRoomID = await world.room();
    const ada = await world.open(world.ada, 0, options);
    const bobs = await Promise.all([0, 1].map((i) => world.open(world.bob, i, options)));
    for (const client of [ada, ...bobs]) await client.emit('ai_chat_room_join', { chatRoomID, stream: true });
    assert.equal((await world.api(world.bob, 'DELETE', `/${chatRoomID}/members/ada`)).code, 'VALIDATION_ERROR');
    assert.equal((await world.api(world.bob, 'PATCH', `/${chatRoomID}`, { title: 'mine' })).code, 'PERMISSION_DENIED');
    assert.deepEqual(await world.api(world.ada, 'DELETE', `/${chatRoomID}/members/bob`), { removed: 'bob' });
    for (const bob of bobs) {
      assert.equal((await bob.next('ai_chat_room_updated', (p) => p.removed)).chatRoomID, chatRoomID);
      bob.received.splice(0);
    }
    assert.deepEqual((await ada.next('ai_chat_room_updated', (p) => p.members)).members, ['ada']);
    await ada.emit('ai_chat_user_message', { chatRoomID, message: 'among us' });
    await ada.next('ai_chat_bot_message');
    for (const bob of bobs) {
      for (const [event, payload] of [['ai_chat_room_join', {}], ['ai_chat_history', {}], ['ai_chat_stop', {}], ['ai_chat_user_message', { message: 'hello?' }]]) {
        assert.equal((await bob.emit(event, { chatRoomID, ...payload })).error.code, 'NOT_FOUND', event);
      }
      assert.deepEqual(bob.received.map((e) => e.name), ['ai_chat_bot_message'], 'but for the refusal of what he said');
      assert.equal(bob.received[0].payload.offset, undefined);
    }
    assert.equal((await world.api(world.bob, 'GET', `/${chatRoomID}/messages`)).code, 'NOT_FOUND');
    assert.ok(!(await world.api(world.bob, 'GET', '')).rooms.some((r) => r.chatRoomID === chatRoomID));
    for (const client of [ada, ...bobs]) client.close();
  },

  async 'a room that is deleted while an answer is given is gone for everybody'(world, options) {
    const chatRoomID = await world.room();
    const [ada, bob] = [await world.open(world.ada, 0, options), await world.open(world.bob, 1, options)];
    for (const client of [ada, bob]) await client.emit('ai_chat_room_join', { chatRoomID, stream: true });
    await ada.emit('ai_chat_user_message', { chatRoomID, message: 'run Countdown with stepMs=1500' });
    await ada.next('ai_chat_bot_message');
    const { offset } = await ada.emit('ai_chat_user_message', { chatRoomID, message: { text: 'yes', action: 'approve' } });
    await bob.next('ai_chat_bot_stream_start', (p) => p.replyTo === offset); // and goes on for some seconds
    assert.equal((await world.api(world.bob, 'DELETE', `/${chatRoomID}`)).code, 'PERMISSION_DENIED');
    assert.deepEqual(await world.api(world.ada, 'DELETE', `/${chatRoomID}`), { deleted: chatRoomID });
    for (const client of [ada, bob]) {
      const events = await client.until((e) => e.name === 'ai_chat_room_updated' && e.payload.deleted);
      assert.ok(!events.some((e) => spoken(e) && e.payload.offset > offset));
      assert.equal((await client.emit('ai_chat_room_join', { chatRoomID })).error.code, 'NOT_FOUND');
    }
    assert.equal((await world.api(world.ada, 'GET', `/${chatRoomID}`)).code, 'NOT_FOUND');
    assert.equal((await world.api(world.ada, 'DELETE', `/${chatRoomID}`)).code, 'NOT_FOUND');
    // The server is free for others, and has nothing left to say to that room.
    const next = await world.room();
    await ada.emit('ai_chat_room_join', { chatRoomID: next });
    await ada.emit('ai_chat_user_message', { chatRoomID: next, message: 'help' });
    assert.equal((await ada.next('ai_chat_bot_message')).chatRoomID, next);
    assert.deepEqual([...ada.received, ...bob.received].filter((e) => e.payload.chatRoomID === chatRoomID), []);
    ada.close();
    bob.close();
  },

  async 'rooms are called after what was said first, and listed, the last changed first'(world, options) {
    const rooms = [await world.room(), await world.room(), await world.room()];
    const ada = await world.open(world.ada, 0, options);
    await ada.emit('ai_chat_room_join', { chatRoomID: rooms[0] });
    assert.equal((await world.api(world.ada, 'PATCH', `/${rooms[0]}`, { title: 'Sales' })).title, 'Sales');
    assert.equal((await ada.next('ai_chat_room_updated')).title, 'Sales');
    await ada.emit('ai_chat_user_message', { chatRoomID: rooms[0], message: 'list workflows' });
    await ada.next('ai_chat_bot_message');
    for (const token of [world.ada, world.bob]) {
      const listed = [];
      for (let next = ''; listed.length < 3;) {
        const page = await world.api(token, 'GET', `?limit=1${next && `&cursor=${next}`}`);
        listed.push(...page.rooms);
        ({ next } = page);
      }
      assert.deepEqual(listed.map((r) => [r.chatRoomID, r.title, r.ownerID]), [[rooms[0], 'Sales', 'ada'], [rooms[2], 'help', 'ada'], [rooms[1], 'help', 'ada']]);
    }
    const { chatRoomID } = await ada.emit('ai_chat_room_join');
    await ada.emit('ai_chat_user_message', { chatRoomID, message: `  ${'How '.repeat(30)}\nand why?` });
    const { title } = await ada.next('ai_chat_room_updated');
    assert.match(title, /^(How )+How…$/);
    assert.ok([...title].length <= 60);
    ada.close();
  },
};

describe('one server', { concurrency: false }, () => {
  let server, world;
  before(async () => {
    server = await start();
    world = await new World([server]).begin();
  });
  after(async () => {
    await checkTraffic(server).finally(async () => assert.equal(await server.stop(), 0));
    assert.deepEqual(server.errors(), []);
  });
  for (const options of matrix.filter((o) => o.version === 4 || o.transport === 'websocket')) {
    for (const [name, check] of Object.entries(checks)) {
      it(`${name}, socket.io-client ${options.version} over ${options.transport}`, () => check(world, options));
    }
  }
});

for (const adapter of ['classic', 'streams']) {
  describe(`two servers, ${adapter}`, { concurrency: false }, () => {
    let two, world;
    before(async () => {
      two = await startTwo({ adapter });
      world = await new World(two.servers).begin();
    });
    after(async () => {
      assert.deepEqual(await two.stop(), [0, 0]);
      assert.deepEqual(two.servers.flatMap((server) => server.errors()), []);
    });
    for (const [name, check] of Object.entries(checks)) it(name, () => check(world, {}));
  });
}
