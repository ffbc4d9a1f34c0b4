import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { once } from '../once.ts';

/** Where entries and spans go. */
export async function startSink(): Promise<{ readonly port: number; stop(): void }> {
  const server: Server = createServer((request, response) => {
    request.resume().on('end', () => response.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, stop: () => void server.close() };
}
