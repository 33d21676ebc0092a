// Starts nginx and HAProxy with the configurations of the operating guide.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './server.mjs';

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

// proxies are how each is started, given its file.
const proxies = {
  nginx: {
    file: 'nginx.conf',
    listen: ['listen 80;', (port) => `listen 127.0.0.1:${port};`],
    unsticky: (text) => text.replace('hash $remote_addr consistent;', ''),
    wrap: (folder, file) => `
      daemon off; pid ${folder}/pid; error_log stderr warn; worker_processes 1;
      events {}
      http {
        access_log off;
        client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
        uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
        include ${file};
      }`,
    command: (folder) => ['nginx', ['-p', folder, '-c', join(folder, 'main.conf')]],
  },
  haproxy: {
    file: 'haproxy.cfg',
    listen: ['bind :80', (port) => `bind 127.0.0.1:${port}`],
    unsticky: (text) => text.replace('balance source', 'balance roundrobin').replace(/^.*cookie roomcast.*$/m, '').replace(/ cookie events-\d/g, ''),
    command: (folder) => ['haproxy', ['-db', '-q', '-f', join(folder, 'haproxy.cfg')]],
  },
};

export const names = Object.keys(proxies);

function replaced(text, from, to) {
  if (!text.includes(from)) throw new Error(`the configuration has no ${from}`);
  return text.replace(from, to);
}

// startProxy starts one in front of servers. Unless sticky it spreads requests
// without regard to whose they are.
export async function startProxy(name, servers, { sticky = true } = {}) {
  const proxy = proxies[name];
  const folder = await mkdtemp(join(tmpdir(), `roomcast-${name}-`));
  const port = await freePort();
  let text = await readFile(join(root, 'docs/proxies', proxy.file), 'utf8');
  text = replaced(text, proxy.listen[0], proxy.listen[1](port));
  servers.forEach((server, i) => {
    text = replaced(text, `10.0.0.1${i + 1}:3000`, server.addresses[0]);
  });
  // Names other than this machine's are refused in development.
  text = text.replace('hdr Host events.example.com', 'hdr Host localhost');
  if (!sticky) {
    const before = text;
    text = proxy.unsticky(text);
    if (text === before) throw new Error('nothing makes it sticky');
  }
  const file = join(folder, proxy.file);
  await writeFile(file, text);
  if (proxy.wrap) await writeFile(join(folder, 'main.conf'), proxy.wrap(folder, file));
  const [command, args] = proxy.command(folder);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += chunk));
  const exited = new Promise((resolve) => child.on('exit', resolve));
  await Promise.race([listening(port), exited.then(() => Promise.reject(new Error(`${name} did not start: ${log}`)))]);
  return {
    url: `http://127.0.0.1:${port}`,
    log: () => log,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

// listening waits until somebody accepts connections on a port.
async function listening(port) {
  for (;;) {
    const open = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
