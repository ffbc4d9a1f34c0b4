import type { Socket } from 'node:net';
import type { Dial, StreamPlace } from '../../../stream/passage.ts';
import { connect } from '../../egress/connect.ts';
import { asEgressError } from '../../egress/failure.ts';
import { loadedIdentities } from '../../egress/identities.ts';

/** Connects streams to their upstreams, for clients that may leave meanwhile. `preamble`: what upstreams are sent first, before TLS; null: nothing. */
export type DialFor = (client: Socket, preamble: string | null) => Dial<Socket>;

export function createDial(): DialFor {
  const identityOf = loadedIdentities();
  const endpointOf = (
    { host, port, tls, connectTimeout }: StreamPlace,
    preamble: string | null,
  ): Parameters<typeof connect>[0] => ({
    host,
    port,
    tls: tls === null ? null : { identity: identityOf(tls.settings), serverName: tls.serverName },
    protocol: null,
    connectTimeout,
    halfOpen: true,
    ...(preamble !== null && { preamble }),
  });
  return (client, preamble) => async (place) => {
    if (client.destroyed) return LEFT;
    try {
      if (place.tls?.settings.certificate?.key === '') throw new Error('the client certificate has no key');
      const connection = await connect(endpointOf(place, preamble));
      // From here on its end tells what was wrong.
      connection.on('error', () => undefined);
      if (!client.destroyed) return { kind: 'connected', connection };
      connection.destroy();
      return LEFT;
    } catch (error) {
      return client.destroyed ? LEFT : { kind: 'failure', failure: asEgressError(error).failure };
    }
  };
}

const LEFT = {
  kind: 'failure',
  failure: { code: 'client_left', sent: false, message: 'the client has left' },
} as const;
