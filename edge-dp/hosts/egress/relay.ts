import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { connectThrough, type ForwardProxy } from '../forward-proxy.ts';

/** Where a relay leads. */
export interface RelayTarget {
  readonly host: string;
  readonly port: number;
  /** Null: there straight away. */
  readonly proxy: ForwardProxy | null;
}

/**
 * Raw TCP onwards, the name resolved for every connection: workerd itself resolves a fixed address once, at start, and knows
 * of no proxy. What a proxy refuses ends the connection; the host's own handshake says why. `target` is asked for every
 * connection; where there is none it ends.
 */
export function relay(target: () => RelayTarget | undefined): Server {
  return createServer({ allowHalfOpen: true }, (inner) => {
    const now = target();
    if (now === undefined) {
      inner.destroy();
      return;
    }
    const { host, port, proxy } = now;
    inner.on('error', () => inner.destroy());
    if (proxy === null) {
      join(inner, connectTcp({ host, port, allowHalfOpen: true }));
      return;
    }
    connectThrough(proxy, { host, port }).then(
      (outer) => {
        if (inner.destroyed) outer.destroy();
        else join(inner, outer);
      },
      () => inner.destroy(),
    );
  });
}

function join(inner: Socket, outer: Socket): void {
  inner.pipe(outer);
  outer.pipe(inner);
  inner.on('error', () => outer.destroy());
  outer.on('error', () => inner.destroy());
  inner.on('close', () => outer.destroy());
  outer.on('close', () => inner.destroy());
}
