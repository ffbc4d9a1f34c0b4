import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** What the Worker imports as `cloudflare:sockets`, and has as `NETWORK.connect`, on Node: TCP and TLS connections as web streams. */

interface Options {
  readonly secureTransport?: 'on' | 'off' | 'starttls';
}

/** A connection that is open, or will be. */
export interface Opened {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly opened: Promise<object>;
  readonly closed: Promise<void>;
  close(): Promise<void>;
  startTls(options?: { readonly expectedServerHostname?: string }): Opened;
}

/** `address`: `host:port`, IPv6 in brackets. TLS is verified against the public CAs. */
export function connect(address: string, { secureTransport = 'off' }: Options = {}): Opened {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(address.slice(colon + 1));
  if (secureTransport === 'on') return opened(ready(connectTls({ host, port, ...named(host) }), 'secureConnect'), host);
  return opened(ready(connectTcp({ host, port }), 'connect'), host);
}

function ready(socket: Socket, event: 'connect' | 'secureConnect'): Promise<Socket> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve(socket));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the connection was closed')));
  });
}

/** `host`: whose certificate is looked for when it goes over to TLS. */
export function opened(socket: Promise<Socket>, host: string): Opened {
  const closed = socket.then(
    (open) =>
      new Promise<void>((resolve, reject) => {
        open.once('close', () => resolve());
        open.on('error', reject);
      }),
  );
  // Whoever does not ask need not be told.
  socket.catch(() => undefined);
  closed.catch(() => undefined);
  return {
    readable: readableOf(socket),
    writable: writableOf(socket),
    opened: socket.then(({ remoteAddress, localAddress }) => ({ remoteAddress, localAddress })),
    closed,
    close: () => socket.then((open) => void open.destroy()),
    startTls: ({ expectedServerHostname = host } = {}) =>
      opened(
        socket.then((open) => ready(connectTls({ socket: open, ...named(expectedServerHostname) }), 'secureConnect')),
        host,
      ),
  };
}

/** RFC 6066: an address is not a server name. */
function named(name: string): { readonly servername?: string } {
  return isIP(name) === 0 ? { servername: name } : {};
}

/** Reads only when it is asked: what follows may be TLS, and somebody else's. */
function readableOf(ready: Promise<Socket>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const socket = await ready;
        await new Promise<void>((resolve) => {
          const look = (): void => {
            const part: unknown = socket.read();
            const over = socket.readableEnded || socket.destroyed;
            if (!(part instanceof Uint8Array) && !over) return;
            for (const event of ENDINGS) socket.off(event, look);
            if (part instanceof Uint8Array) controller.enqueue(part);
            else if (socket.errored !== null) controller.error(socket.errored);
            else controller.close();
            resolve();
          };
          for (const event of ENDINGS) socket.on(event, look);
          look();
        });
      },
      async cancel() {
        (await ready).destroy();
      },
    },
    { highWaterMark: 0 },
  );
}

const ENDINGS = ['readable', 'end', 'error', 'close'] as const;

function writableOf(ready: Promise<Socket>): WritableStream<Uint8Array> {
  return new WritableStream<Uint8Array>({
    async write(part) {
      const socket = await ready;
      await new Promise<void>((resolve, reject) => {
        socket.write(part, (error) => (error ? reject(error) : resolve()));
      });
    },
    async close() {
      (await ready).end();
    },
    async abort() {
      (await ready).destroy();
    },
  });
}
