// A server asks the model of its configuration, with the key from a file.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { startModel } from './lib/model.mjs';
import { start } from './lib/server.mjs';

let model, server, folder;
before(async () => {
  model = await startModel();
  folder = await mkdtemp(join(tmpdir(), 'roomcast-config-'));
  await writeFile(join(folder, 'key'), 'sk-from-a-file\n');
  await writeFile(join(folder, 'c.yaml'), `chat: {models: [{name: small, provider: openai, url: "${model.url}", keyFile: "${join(folder, 'key')}"}]}`);
  server = await start({ args: ['--config', join(folder, 'c.yaml')] });
});
after(async () => {
  assert.equal(await server.stop(), 0);
  await model.stop();
  await rm(folder, { recursive: true });
});

it('answers ai nodes, after it was busy', async () => {
  await model.on('weather', { status: 503, body: 'later' }, { steps: [{ text: 'Su' }, { text: 'nny.' }, { finish: 'stop' }, { done: true }] });
  const { admin } = server.tokens;
  const definition = {
    nodes: [{ id: 's', type: 'start' }, { id: 'a', type: 'ai', data: { prompt: 'How is the weather?' } }, { id: 'e', type: 'end' }],
    edges: [{ id: '1', source: 's', target: 'a' }, { id: '2', source: 'a', target: 'e' }],
  };
  const saved = await server.api(admin, 'POST', `/tenants/${server.tenant}/workflows`, { title: 'weather', definition });
  const run = await server.api(admin, 'POST', `/tenants/${server.tenant}/workflows/${saved.body.workflowID}/execute`, { inputValues: {} });
  const until = Date.now() + 15_000;
  let state;
  do {
    await new Promise((resolve) => setTimeout(resolve, 20));
    ({ body: state } = await server.api(admin, 'GET', `/tenants/${server.tenant}/workflows/instances/${run.body.instanceID}`));
  } while (!/SUCCESS|COMPLETED|FAILED/.test(state.status) && Date.now() < until);
  assert.deepEqual(state.contextData.aiResult, { text: 'Sunny.', model: 'small', finishReason: 'stop' });
  const requests = await model.requests();
  assert.equal(requests.length, 2);
  assert.deepEqual(requests[1].header.Authorization, ['Bearer sk-from-a-file']);
  assert.ok(!server.log().includes('sk-from-a-file') && !server.log().includes('weather?'));
});
