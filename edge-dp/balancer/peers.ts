import type { HttpResponse } from '../http/messages.ts';
import type { UpstreamFailure } from '../proxy/egress/egress.ts';
import type { Service } from '../proxy/entities.ts';
import type { Peer } from '../proxy/upstream-request.ts';

/** The addresses one request may be sent to, in the order they are tried. */
export interface PeerPicker {
  /** There is more than one address to choose from. */
  readonly several: boolean;
  /** What the client is told when there is no address, as a message of a 503. */
  readonly refusal: string;
  /** The certificate the upstream lends to services without one; an id. */
  readonly clientCertificate: string | null;
  /** Whether it counts until the end of an exchange. */
  readonly followed: boolean;
  /** The address of the next attempt; null when none is available. */
  next(): Peer | null;
  /** The last attempt was answered by the response that will be passed on. */
  answered(response: HttpResponse): void;
  /** The last attempt came to a connection for a stream, which `onEnd` tells the end of. */
  connected(onEnd: (listener: () => void) => void): void;
  /** The last attempt failed; `last`: no other follows. */
  failed(failure: UpstreamFailure, last: boolean): void;
}

const onlyPeers = new WeakMap<Service, PeerPicker>();

/** A service whose host is no upstream: one address, tried again and again. It remembers nothing, and serves all requests. */
export function onlyPeer(service: Service): PeerPicker {
  let peers = onlyPeers.get(service);
  if (peers === undefined) {
    peers = peerOf(service);
    onlyPeers.set(service, peers);
  }
  return peers;
}

function peerOf(service: Service): PeerPicker {
  const peer = { host: service.host, port: service.port, hostname: service.host };
  return {
    several: false,
    refusal: 'name resolution failed',
    clientCertificate: null,
    followed: false,
    next: () => peer,
    answered: () => undefined,
    connected: () => undefined,
    failed: () => undefined,
  };
}
