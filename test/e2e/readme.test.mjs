// The example of the README works when it is pasted.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { root, start } from './lib/server.mjs';

let server;
before(async () => (server = await start()));
after(async () => assert.equal(await server.stop(), 0));

it('prints what the reader is promised', async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const [, code] = readme.match(/```js\n([\s\S]*?)```/);
  assert.ok(code.trim().split('\n').length <= 22, 'it is twenty lines, more or less');
  const file = join(dirname(fileURLToPath(import.meta.url)), `example-${process.pid}.mjs`);
  await writeFile(file, code);
  try {
    const output = await new Promise((resolve, reject) => {
      execFile(process.execPath, [file], { env: { ...process.env, TOKEN: server.tokens.member, URL: server.url }, timeout: 20_000 },
        (error, stdout) => (error ? reject(error) : resolve(stdout)));
    });
    assert.match(output, /bot: These workflows can be run:/);
    assert.match(output, /bot: I can run "Add numbers" with {"a":40,"b":2}/);
    assert.match(output, /bot: "Add numbers" ran as .* and is COMPLETED: {"sum":42}/);
  } finally {
    await rm(file);
  }
});

it('links to files that exist', async () => {
  for (const file of ['README.md', 'docs/ARCHITECTURE.md', 'docs/rest.md', 'docs/workflows.md', 'docs/production.md']) {
    const text = await readFile(join(root, file), 'utf8');
    for (const [, link] of text.matchAll(/\]\(([^)#:]+)\)/g)) {
      await assert.doesNotReject(readFile(join(root, dirname(file), link)).catch((e) => (e.code === 'EISDIR' ? '' : Promise.reject(e))), `${file} links to ${link}`);
    }
  }
});
