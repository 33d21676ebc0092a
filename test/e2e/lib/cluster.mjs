// Two servers that share a PostgreSQL database and a Redis, all on free ports
// or sockets of their own, which end with this process however that ends.
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { start } from './server.mjs';

// until keeps a program running as long as the standard input of this is open,
// and removes its folder then.
const until = '"$@" >log 2>&1 </dev/null & read -r _; kill -INT $!; wait $!; rm -rf "$PWD"';

class Program {
  constructor(cwd, command, as = {}) {
    this.child = spawn('/bin/sh', ['-c', until, 'sh', ...command], { cwd, stdio: ['pipe', 'ignore', 'inherit'], ...as });
    this.ended = new Promise((resolve) => this.child.on('exit', resolve));
  }

  async stop() {
    this.child.stdin.end();
    await this.ended;
  }
}

// nobody is whom PostgreSQL runs as when this is root, whom it refuses.
function nobody() {
  if (process.getuid() !== 0) return {};
  const id = (flag) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

async function ready(what, try_) {
  for (const end = Date.now() + 15_000; Date.now() < end;) {
    try {
      return try_();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  throw new Error(`${what} did not start`);
}

async function startPostgres() {
  const folder = mkdtempSync(join(tmpdir(), 'roomcast-postgres-'));
  const as = nobody();
  if (as.uid !== undefined) chownSync(folder, as.uid, as.gid);
  const root = '/usr/lib/postgresql';
  const bin = join(root, readdirSync(root).sort((a, b) => a - b).at(-1), 'bin');
  execFileSync(join(bin, 'initdb'), ['-D', 'data', '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], { cwd: folder, stdio: 'ignore', ...as });
  const program = new Program(folder, [join(bin, 'postgres'), '-D', 'data', '-k', folder, '-c', 'listen_addresses=', '-c', 'fsync=off'], as);
  await ready('PostgreSQL', () => execFileSync(join(bin, 'psql'), ['-h', folder, '-U', 'postgres', '-c', 'SELECT 1'], { stdio: 'ignore' }));
  return { url: `postgres://postgres@/postgres?host=${encodeURIComponent(folder)}`, stop: () => program.stop() };
}

async function startRedis() {
  const folder = mkdtempSync(join(tmpdir(), 'roomcast-redis-'));
  const socket = join(folder, 'socket');
  const program = new Program(folder, ['redis-server', '--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder]);
  await ready('Redis', () => execFileSync('redis-cli', ['-s', socket, 'ping'], { stdio: 'ignore' }));
  return { url: `unix://${socket}`, stop: () => program.stop() };
}

// startTwo returns two servers that are one cluster, and what ends them. args are
// further flags of both.
export async function startTwo({ adapter = 'classic', args = [] } = {}) {
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  const env = { ROOMCAST_STORE_DRIVER: 'postgres', ROOMCAST_STORE_URL: postgres.url, ROOMCAST_REDIS_URL: redis.url, ROOMCAST_REDIS_ADAPTER: adapter };
  const first = await start({ env, args });
  const second = await start({ env, args, data: first.data }); // the key that tokens are signed with is there
  return {
    servers: [first, second],
    async stop() {
      const codes = [await second.stop({ keep: true }), await first.stop()];
      await Promise.all([postgres.stop(), redis.stop()]);
      return codes;
    },
  };
}
