import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ClientConnections } from '../../../../edge-dp/hosts/egress/client-connections.ts';

/** The two ends of a connection to a listener at `at`; the server's stays open when the client's is closed. */
async function connected(at: string, to: string) {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, at);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const arrived = once(server, 'connection') as Promise<[Socket]>;
  const client = connect(port, to);
  const [inner] = await arrived;
  await once(client, 'connect');
  return { client, inner, server, port, clientPort: inner.remotePort ?? 0 };
}

describe.runIf(process.platform === 'linux')('connections of clients', () => {
  it.each([
    ['IPv4', '127.0.0.1', '127.0.0.1'],
    ['IPv6', '::1', '::1'],
    ['IPv4 on a socket of both', '::', '127.0.0.1'],
  ])('are known to be closed once the client has closed them: %s', async (_, at, to) => {
    const { client, inner, server, port, clientPort } = await connected(at, to);
    const clients = new ClientConnections();
    expect(await clients.isClosed(to, clientPort, port)).toBe(false);
    client.destroy();
    await expect.poll(() => clients.isClosed(to, clientPort, port)).toBe(true);
    // Another listener, another client, an address that is none.
    expect(await clients.isClosed(to, clientPort, port === 1 ? 2 : 1)).toBe(false);
    expect(await clients.isClosed('192.0.2.1', clientPort, port)).toBe(false);
    expect(await clients.isClosed('.*', clientPort, port)).toBe(false);
    inner.destroy();
    server.close();
  });
});
