import { createServer } from 'node:net';
import type { PeerAddress } from '../settings/addresses.ts';
import { bindFailure } from './bind-failure.ts';

/** One of this machine's own that nobody listens on right now, to tell it to two who are to meet there. */
export function freePort(): Promise<number> {
  return bind({ host: '127.0.0.1', port: 0 });
}

/** Throws, naming the setting, where an address cannot be listened on: for who binds it out of our sight. */
export async function requireFree(setting: string, address: PeerAddress): Promise<void> {
  await bind(address).catch((error) => {
    throw bindFailure(setting, address, error);
  });
}

/** Listens for a moment. Resolves with the port. */
function bind({ host, port }: PeerAddress): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}
