// How a test tells a process what to do: commands and answers are lines of
// JSON on the standard streams, {id, op, …} and {id, result} or {id, error}.
// Binary values stand as {"$bin": base64}.
import { createInterface } from 'node:readline';

// serve answers commands with the functions of ops until the input ends. The
// first line that it writes is what the process says of itself.
export function serve(ops, hello) {
  const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
  write(hello);
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const { id, op, ...command } = JSON.parse(line);
    try {
      write({ id, result: encode(await ops[op](command)) ?? null });
    } catch (error) {
      write({ id, error: String(error?.message ?? error) });
    }
  });
  lines.on('close', () => process.exit(0));
}

export function encode(value) {
  if (Buffer.isBuffer(value)) return { $bin: value.toString('base64') };
  if (value instanceof ArrayBuffer) return encode(Buffer.from(value));
  if (Array.isArray(value)) return value.map((v) => encode(v) ?? null);
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, encode(v)]));
  return value;
}

export function decode(value) {
  if (value?.$bin !== undefined) return Buffer.from(value.$bin, 'base64');
  if (Array.isArray(value)) return value.map(decode);
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, decode(v)]));
  return value;
}
