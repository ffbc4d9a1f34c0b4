import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { isLoopback, judgeBrowser } from '../../shared/browser-guard.ts';
import { Lately } from '../../shared/lately.ts';
import { SilentConnections } from '../listeners/silent-connections.ts';
import type { Peer } from './admission.ts';
import {
  type Address,
  answerJson,
  type ClusterServer,
  type ClusterServerOptions,
  endUpgrade,
  TIMEOUTS,
} from './mtls-server.ts';

/** Far more than a person runs on one machine. */
const MOST_CONNECTIONS = 200;

/** No page of any browser is welcome, by whatever name it reaches this machine. */
const NO_PAGES = {
  names: new Set<string>(),
  namesSetting: 'no setting: data planes use its address',
  allows: () => false,
  remedy: 'only data planes link here',
} as const;

/**
 * The cluster's port without TLS and certificates, for data planes that are developed on this machine: `wrangler dev` cannot show a
 * client certificate. It listens at loopback alone. Whoever is on this machine is admitted, pages in its browsers excepted; who says
 * that it is a certain data plane proves it by that one's key, as everywhere.
 */
export function createDevelopmentServer({ log, request, upgrade }: ClusterServerOptions): ClusterServer {
  const told = new Lately();
  const server = createServer();
  Object.assign(server, TIMEOUTS);
  server.maxConnections = MOST_CONNECTIONS;
  const silent = new SilentConnections(server);

  /** Why it is refused; null: it is not. */
  function refusal({ headers }: IncomingMessage): string | null {
    const site = headers['sec-fetch-site'];
    const verdict = judgeBrowser(
      {
        // Whatever is asked here counts as a change: a WebSocket is no read.
        method: 'POST',
        host: headers.host ?? '',
        origin: headers.origin ?? null,
        fetchSite: typeof site === 'string' ? site : null,
        loopback: true,
      },
      NO_PAGES,
    );
    if (verdict.kind !== 'refused') return null;
    if (told.isNew(verdict.reason)) log('warn', `cluster_dev_listen: refused a request: ${verdict.reason}`);
    return verdict.reason;
  }

  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('request', (incoming, response) => {
    const reason = refusal(incoming);
    if (reason === null) request(incoming, response, peerOf(incoming));
    else answerJson(response, 403, { message: reason }, { connection: 'close' });
  });
  server.on('upgrade', (incoming, socket, head) => {
    socket.on('error', () => socket.destroy());
    silent.heard(incoming.socket);
    const reason = refusal(incoming);
    if (reason !== null) endUpgrade(socket, '403 Forbidden', reason);
    else upgrade?.(incoming, socket, head, peerOf(incoming));
  });

  return {
    async listen({ host, port }: Address) {
      if (!isLoopback(host))
        throw new Error(`${host} is not a loopback address, and this link has neither TLS nor certificates`);
      server.listen({ port, host, ipv6Only: true });
      await Promise.race([once(server, 'listening'), once(server, 'error').then(([error]) => Promise.reject(error))]);
      server.on('error', (error) => log('error', `cluster_dev_listen: ${error.message}`));
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('not bound to a port');
      return { host: address.address, port: address.port };
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      silent.end();
      await closed;
    },
  };
}

function peerOf({ socket }: IncomingMessage): Peer {
  return {
    ip: (socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
    port: socket.remotePort ?? 0,
    subject: 'none: development link',
    certificateKey: null,
    labels: {},
    certificateExpires: null,
  };
}
