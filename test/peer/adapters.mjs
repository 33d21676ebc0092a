// The official adapters by name: classic, sharded, streams.
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { createAdapter as createStreamsAdapter } from '@socket.io/redis-streams-adapter';
import { createClient } from 'redis';

// connect returns a client of a Redis at redis://host:port.
export async function connect(url) {
  const client = createClient({ url });
  client.on('error', (error) => console.error('redis:', error.message));
  await client.connect();
  return client;
}

export async function adapter(name, url) {
  const client = await connect(url);
  switch (name) {
    case 'classic':
      return createAdapter(client, await connect(url));
    case 'sharded':
      return createShardedAdapter(client, await connect(url));
    case 'streams':
      return createStreamsAdapter(client);
    default:
      throw new Error(`unknown adapter ${name}`);
  }
}
