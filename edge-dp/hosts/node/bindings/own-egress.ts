import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { EGRESS_TOKEN } from '../../../proxy/egress/protocol.ts';
import type { EgressOptions } from '../../egress/messages.ts';
import { egressServer } from '../../egress/server.ts';
import { type Opened, opened } from '../runtime/sockets.ts';
import { fetchThrough } from './fetch-through.ts';
import { requestOf } from './request-of.ts';

/** The `EGRESS` and `TUNNEL` bindings. */
interface OwnEgress {
  fetch(input: Request | string | URL, init?: RequestInit): Promise<Response>;
  /** `address`: `<ticket>:1`. */
  connect(address: string): Opened;
}

/**
 * What plugins ask of the machine (connections with any TLS, UDP, files, syslog, secrets), done in this process by the same server
 * that is workerd's egress process, over a Unix socket of its own, at that path: few requests need it.
 */
export async function ownEgress(
  socketPath: string,
  options: Omit<EgressOptions, 'token' | 'identities' | 'onIdentity'>,
): Promise<OwnEgress> {
  const token = randomBytes(24).toString('base64url');
  // Of a process that was killed, whose id has come round again.
  rmSync(socketPath, { force: true });
  process.once('exit', () => rmSync(socketPath, { force: true }));
  const server = egressServer({ ...options, token, identities: {}, onIdentity: () => undefined });
  await new Promise<void>((listening, failed) => server.once('error', failed).listen(socketPath, listening));
  server.unref();
  const send = fetchThrough(({ Agent }) => new Agent({ connect: { socketPath }, allowH2: false }));
  return {
    async fetch(input, init) {
      const asked = requestOf(input, init);
      const headers = new Headers(asked.headers);
      headers.set(EGRESS_TOKEN, token);
      const body = asked.body === null ? null : await asked.arrayBuffer();
      const { method, signal } = asked;
      return await send(asked.url, { method, signal, headers: [...headers], body });
    },
    connect: (address) => opened(tunnel(socketPath, address), ''),
  };
}

/** The bytes of an open connection, by its ticket. */
function tunnel(socketPath: string, path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path, method: 'CONNECT' });
    asking.once('connect', (response, socket, head) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        reject(new Error(`the ticket was answered with ${response.statusCode}`));
        return;
      }
      if (head.byteLength > 0) socket.unshift(head);
      resolve(socket);
    });
    asking.once('error', reject);
    asking.end();
  });
}
