// The AsyncAPI documents satisfy the official tools, with nothing to complain
// about.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Parser } from '@asyncapi/parser';
import { root, start } from './lib/server.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const file = join(root, 'asyncapi/socket-events.yaml');

// The one remark that is unavoidable: there is a newer version of AsyncAPI.
const unavoidable = 'asyncapi-latest-version';

let server;
before(async () => (server = await start()));
after(async () => assert.equal(await server.stop(), 0));

it('satisfies the official parser', async () => {
  const { document, diagnostics } = await new Parser().parse(await readFile(file, 'utf8'));
  assert.deepEqual(diagnostics.filter((d) => d.code !== unavoidable), []);
  assert.equal(document.version(), '2.6.0');
  assert.deepEqual(document.channels().all().map((c) => c.address()), ['/', '/monitor']);
});

it('satisfies spectral', () => lint(file));

async function lint(path) {
  const output = await new Promise((resolve) => {
    execFile(join(here, 'node_modules/.bin/spectral'), ['lint', path, '--ruleset', join(here, 'spectral.yaml'), '--format', 'json'], (_, stdout) => resolve(stdout));
  });
  assert.deepEqual(JSON.parse(output).filter((d) => d.code !== unavoidable), []);
}

for (const name of (await readdir(join(root, 'asyncapi'))).filter((n) => n.startsWith('ws-'))) {
  it(`${name} satisfies them too, and is served`, async () => {
    const path = join(root, 'asyncapi', name);
    const text = await readFile(path, 'utf8');
    const { document, diagnostics } = await new Parser().parse(text);
    assert.deepEqual(diagnostics.filter((d) => d.code !== unavoidable), []);
    assert.equal(document.version(), '2.6.0');
    await lint(path);
    assert.equal(await (await fetch(`${server.url}/asyncapi/${name}`)).text(), text);
  });
}

it('is served as it is', async () => {
  const text = await readFile(file, 'utf8');
  for (const path of ['/asyncapi.yaml', '/asyncapi/socket-events.yaml']) {
    const response = await fetch(server.url + path);
    assert.equal(response.status, 200);
    assert.equal(await response.text(), text);
  }
  const json = await (await fetch(`${server.url}/asyncapi.json`)).json();
  const { diagnostics } = await new Parser().parse(JSON.stringify(json));
  assert.deepEqual(diagnostics.filter((d) => d.code !== unavoidable), []);
});

it('serves the official client bundle', async () => {
  const response = await fetch(`${server.url}/socket.io/socket.io.js`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /javascript/);
  const bundled = await readFile(join(here, 'node_modules/socket.io-client/dist/socket.io.js'), 'utf8');
  assert.equal(await response.text(), bundled);
  const again = await fetch(`${server.url}/socket.io/socket.io.js`, { headers: { 'If-None-Match': response.headers.get('etag') } });
  assert.equal(again.status, 304);
});
