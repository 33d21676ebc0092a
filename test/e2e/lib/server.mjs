// Starts the built binary on a free port, as a user would.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
export const binary = process.env.ROOMCAST_BIN ?? join(root, 'bin/roomcast');

// start returns a running server in development mode. Options: data keeps the
// folder of an earlier one, args are further flags, env further variables.
export async function start({ data, args = [], env = {} } = {}) {
  const folder = data ?? (await mkdtemp(join(tmpdir(), 'roomcast-')));
  const child = spawn(binary, ['serve', '--dev', '--json', '--addr', '127.0.0.1:0', '--data', folder, ...args], {
    cwd: folder, // so that no config.yaml is read
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk) => (log += chunk));
  const exited = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
  const first = createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  const line = await Promise.race([first, exited]);
  if (line.value === undefined) {
    await exited;
    throw new Error(`the server did not start: ${log}`);
  }
  const announced = JSON.parse(line.value);
  const server = {
    ...announced,
    data: folder,
    pid: child.pid,
    log: () => log,
    errors: () => log.split('\n').filter((line) => line.includes('level=ERROR')),
    exited,
    async api(token, method, path, body) {
      const response = await fetch(`${announced.url}/api/v1${path}`, {
        method,
        headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      return { status: response.status, body: await response.json() };
    },
    async token(user, tenant = 'default', role = 'member', ...more) {
      const { execFile } = await import('node:child_process');
      return new Promise((resolve, reject) => {
        execFile(binary, ['token', 'new', '--data', folder, '--user', user, '--tenant', tenant, '--role', role, ...more], { cwd: folder },
          (error, stdout) => (error ? reject(error) : resolve(stdout.trim())));
      });
    },
    signal: (name) => child.kill(name),
    async stop({ keep = false } = {}) {
      child.kill('SIGTERM');
      const { code } = await exited;
      if (!keep) await rm(folder, { recursive: true, force: true });
      return code;
    },
  };
  return server;
}

// workflow returns the id of a sample workflow by its title.
export async function workflow(server, title) {
  const { body } = await server.api(server.tokens.admin, 'GET', `/tenants/${server.tenant}/workflows`);
  return body.workflows.find((w) => w.title === title).workflowID;
}
