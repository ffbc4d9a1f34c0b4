import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type OpenedTunnel, TICKET_LIFE, type TunnelTarget, type TunnelTls } from '../../proxy/egress/host-services.ts';
import { connect, type Endpoint, placeOf, secure } from './connect.ts';
import { EgressError } from './failure.ts';
import type { Identities } from './identities.ts';
import { IdleConnections } from './idle-connections.ts';

/** Milliseconds for which a peer may go on sending after the Worker has ended its side. */
const LINGER = 120_000;

interface Tunnel {
  readonly endpoint: Endpoint;
  readonly pool: string | null;
  outer: Socket;
  /** The CONNECT that carries it. */
  inner: Socket | null;
  /** Takes what listens to the connection on behalf of that CONNECT away again: others will follow. */
  release: () => void;
  /** Ends a connection nobody has come for. */
  patience: NodeJS.Timeout | null;
}

/** Connections of plugins' own, by the tickets under which Workers come for their bytes. */
export class Tunnels {
  readonly #identities: Identities;
  readonly #idle = new IdleConnections();
  readonly #open = new Map<string, Tunnel>();

  constructor(identities: Identities) {
    this.#identities = identities;
  }

  /** Connects, or takes an idle connection of the same target. */
  async open(target: TunnelTarget): Promise<OpenedTunnel> {
    const endpoint = this.#endpointOf(target);
    const pool = target.pool === null ? null : JSON.stringify([target.host, target.port, target.tls, target.pool]);
    const idle = pool === null ? null : this.#idle.take(pool);
    const outer = idle ?? quiet(await connect(endpoint));
    const tunnel: Tunnel = { endpoint, pool, outer, inner: null, release: () => {}, patience: null };
    return { ticket: this.#issue(tunnel), reused: idle !== null };
  }

  /** Gives the connection's bytes to a CONNECT; false: the ticket is none, or was used. */
  attach(ticket: string, inner: Socket, head: Uint8Array): boolean {
    const tunnel = this.#open.get(ticket);
    if (tunnel === undefined || tunnel.inner !== null) return false;
    const { outer } = tunnel;
    tunnel.inner = inner;
    if (tunnel.patience !== null) clearTimeout(tunnel.patience);
    if (outer.destroyed) {
      this.#open.delete(ticket);
      return false;
    }
    inner.write('HTTP/1.1 200 Connected\r\n\r\n');
    if (head.byteLength > 0) outer.write(head);
    inner.pipe(outer);
    outer.pipe(inner);
    const linger = (): void => void outer.setTimeout(LINGER);
    const late = (): void => void outer.destroy();
    const left = (): void => {
      this.#open.delete(ticket);
      outer.destroy();
    };
    const closed = (): void => {
      this.#open.delete(ticket);
      // What has come is still on its way to the Worker.
      inner.end();
    };
    inner.once('end', linger);
    inner.once('close', left);
    outer.once('timeout', late);
    outer.once('close', closed);
    tunnel.release = () => {
      inner.off('end', linger);
      inner.off('close', left);
      outer.off('timeout', late);
      outer.off('close', closed);
      outer.setTimeout(0);
    };
    return true;
  }

  /** Goes over to TLS; what was said in clear reaches nobody any more. */
  async startTls(ticket: string, tls: TunnelTls): Promise<OpenedTunnel> {
    const tunnel = this.#detach(ticket);
    const { outer, endpoint } = tunnel;
    if (outer instanceof TLSSocket) {
      outer.destroy();
      throw new EgressError('bad_request', false, `${placeOf(endpoint)}: the connection has TLS already`);
    }
    if (outer.readableLength > 0) {
      outer.destroy();
      throw new EgressError('protocol', true, `${placeOf(endpoint)}: sent more in clear when TLS was agreed on`);
    }
    tunnel.outer = quiet(await secure(outer, endpoint, this.#tlsOf(tls)));
    return { ticket: this.#issue(tunnel), reused: false };
  }

  /**
   * Leaves the connection for the next tunnel of its pool, once what was written into this one has gone through. A peer that does not
   * take that in the time it has to be connected to loses the connection, and whoever leaves it is told.
   */
  async leave(ticket: string, milliseconds: number): Promise<void> {
    const tunnel = this.#open.get(ticket);
    if (tunnel?.inner && !(await goneThrough(tunnel.inner, tunnel.outer, tunnel.endpoint.connectTimeout))) {
      this.#detach(ticket).outer.destroy();
      const { connectTimeout } = tunnel.endpoint;
      throw new EgressError('write_timeout', true, `not all was taken within ${connectTimeout} ms`);
    }
    const { outer, pool } = this.#detach(ticket);
    if (pool === null || outer.readableLength > 0 || outer.readableEnded || outer.destroyed) outer.destroy();
    else this.#idle.put(pool, outer, milliseconds);
  }

  #issue(tunnel: Tunnel): string {
    const ticket = randomBytes(16).toString('hex');
    tunnel.inner = null;
    tunnel.patience = setTimeout(() => {
      this.#open.delete(ticket);
      tunnel.outer.destroy();
    }, TICKET_LIFE);
    this.#open.set(ticket, tunnel);
    return ticket;
  }

  /** Takes a connection away from the CONNECT that carries it, and the ticket out of use. */
  #detach(ticket: string): Tunnel {
    const tunnel = this.#open.get(ticket);
    this.#open.delete(ticket);
    const inner = tunnel?.inner ?? null;
    if (tunnel === undefined || inner === null) {
      tunnel?.outer.destroy();
      throw new EgressError('closed', true, 'the connection is closed');
    }
    tunnel.inner = null;
    const { outer } = tunnel;
    inner.unpipe(outer);
    outer.unpipe(inner);
    tunnel.release();
    inner.resume();
    inner.end();
    return tunnel;
  }

  #endpointOf({ host, port, tls, timeout }: TunnelTarget): Endpoint {
    const secured = tls === null ? null : this.#tlsOf(tls);
    return { host, port, tls: secured, protocol: null, connectTimeout: timeout, halfOpen: true };
  }

  #tlsOf({ identity, serverName }: TunnelTls): NonNullable<Endpoint['tls']> {
    return { identity: identity === null ? this.#identities.plugins : this.#identities.get(identity), serverName };
  }
}

/** Whatever is wrong with a connection, its end tells it. */
function quiet(socket: Socket): Socket {
  return socket.on('error', () => {});
}

/**
 * Waits until nothing is left between two ends of which one is piped into the other; false: there is, after so many milliseconds. What has
 * been written into the first is in the system's hands when this is called, so that it is read within a turn of the event loop.
 */
async function goneThrough(from: Socket, to: Socket, patience: number): Promise<boolean> {
  const until = performance.now() + patience;
  for (;;) {
    const read = from.bytesRead;
    // Two: the first comes before anything else is read.
    await turn();
    await turn();
    if (from.destroyed || to.destroyed) return true;
    if (from.bytesRead === read && from.readableLength === 0 && !to.writableNeedDrain) return true;
    const left = until - performance.now();
    if (left <= 0) return false;
    if (to.writableNeedDrain) await drained(to, left);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** At the latest after so many milliseconds. */
function drained(socket: Socket, patience: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(late);
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    const late = setTimeout(done, patience);
    socket.once('drain', done);
    socket.once('close', done);
  });
}
