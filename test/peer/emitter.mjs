// What publishes into a cluster without being a server, told by a test what to
// do: @socket.io/redis-emitter for the classic adapter, and for streams what an
// emitter of theirs adds to the stream.
//
//   node emitter.mjs --adapter classic|streams --redis redis://…
import { parseArgs } from 'node:util';
import { encode as pack } from '@msgpack/msgpack';
import { Emitter } from '@socket.io/redis-emitter';
import { connect } from './adapters.mjs';
import { decode, serve } from './control.mjs';

const { values } = parseArgs({ options: { adapter: { type: 'string' }, redis: { type: 'string' } } });
const redis = await connect(values.redis);
const emitter = new Emitter(redis);

function select({ ns = '/', rooms = [], except = [], volatile }) {
  const to = emitter.of(ns).to(rooms).except(except);
  return volatile ? to.volatile : to;
}

const classic = {
  emit: (c) => void select(c).emit(c.event, ...decode(c.args ?? [])),
  join: (c) => void select(c).socketsJoin(c.names),
  leave: (c) => void select(c).socketsLeave(c.names),
  disconnect: (c) => void select(c).disconnectSockets(c.close),
  side: (c) => void emitter.of(c.ns ?? '/').serverSideEmit(c.event, ...decode(c.args ?? [])),
};

const streamTypes = { emit: 3, join: 4, leave: 5, disconnect: 6 };

const options = ({ rooms = [], except = [] }) => ({ rooms, except, flags: {} });

const streamData = {
  emit: (c) => ({ packet: { type: 2, data: [c.event, ...decode(c.args ?? [])], nsp: c.ns ?? '/' }, opts: options(c) }),
  join: (c) => ({ opts: options(c), rooms: c.names }),
  leave: (c) => ({ opts: options(c), rooms: c.names }),
  disconnect: (c) => ({ opts: options(c), close: c.close ?? false }),
};

const binary = (value) => Buffer.isBuffer(value) || (value && typeof value === 'object' && Object.values(value).some(binary));

// add writes an entry as redis-streams-adapter does.
async function add(op, c) {
  const data = streamData[op](c);
  const entry = { uid: 'emitter', nsp: c.ns ?? '/', type: String(streamTypes[op]) };
  entry.data = binary(data) ? Buffer.from(pack(data)).toString('base64') : JSON.stringify(data);
  await redis.xAdd('socket.io', '*', entry);
}

const streams = Object.fromEntries(Object.keys(streamData).map((op) => [op, (c) => add(op, c)]));

serve(values.adapter === 'streams' ? streams : classic, {});
