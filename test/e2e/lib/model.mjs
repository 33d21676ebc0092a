// Starts an endpoint of the protocol of OpenAI that does what it is told; see
// internal/chat/provider/providertest for rules, replies and steps.
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { root } from './server.mjs';

// startModel returns a running endpoint. Its url goes into chat.models.
export async function startModel() {
  const folder = await mkdtemp(join(tmpdir(), 'roomcast-model-'));
  const program = join(folder, 'modelserver');
  await promisify(execFile)('go', ['build', '-o', program, './test/modelserver'], { cwd: root });
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const { value: url } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  const control = async (method, path, body) => {
    const response = await fetch(new URL(`/control${path}`, url), { method, body: body && JSON.stringify(body) });
    if (!response.ok) throw new Error(await response.text());
    return response;
  };
  return {
    url,
    // on says what is replied to prompts that contain a text, one after the other.
    on: (contains, ...replies) => control('POST', '/rules', { contains, replies }),
    requests: async () => (await control('GET', '/requests')).json(),
    reset: () => control('DELETE', ''),
    async stop() {
      child.stdin.end();
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
