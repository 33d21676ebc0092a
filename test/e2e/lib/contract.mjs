// Checks what was really sent against the file that the server offers, with a
// tool that its readers use.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import validator from 'asyncapi-validator';
import { traffic } from './client.mjs';

export async function checkTraffic(server) {
  const response = await fetch(`${server.url}/asyncapi.yaml`);
  const folder = await mkdtemp(join(tmpdir(), 'asyncapi-'));
  const file = join(folder, 'socket-events.yaml');
  await writeFile(file, await response.text());
  const contract = await validator.fromSource(file, { msgIdentifier: 'name' });
  await rm(folder, { recursive: true });
  assert.ok(traffic.length > 0, 'there was no traffic to check');
  const names = new Set();
  for (const { channel, operation, name, payload } of traffic) {
    try {
      contract.validate(name, payload, channel, operation);
    } catch (error) {
      assert.fail(`${operation} ${channel} ${name} ${JSON.stringify(payload)}: ${error.message}`);
    }
    names.add(`${operation} ${channel} ${name}`);
  }
  return names;
}
