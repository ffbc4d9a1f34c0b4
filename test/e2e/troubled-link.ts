import { connect, createServer, type Server, type Socket } from 'node:net';

/** What becomes of bytes: they pass; late; not at all, while both ends think they are connected; or there is no connection. */
type Trouble = 'none' | 'slow' | 'stuck' | 'cut';

/** Milliseconds that `slow` holds bytes back. */
const DELAY = 400;

/** The network between data planes and one control plane. */
export class TroubledLink {
  readonly port: number;
  readonly #server: Server;
  readonly #target: number;
  readonly #pairs = new Set<readonly [inner: Socket, outer: Socket]>();
  #trouble: Trouble = 'none';

  private constructor(server: Server, port: number, target: number) {
    this.#server = server;
    this.port = port;
    this.#target = target;
    server.on('connection', (inner: Socket) => this.#join(inner));
  }

  static async start(port: number, target: number): Promise<TroubledLink> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return new TroubledLink(server, port, target);
  }

  set(trouble: Trouble): void {
    this.#trouble = trouble;
    if (trouble === 'cut') for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    // Those that are stuck stay so for good: whoever waits there has to find out.
    if (trouble === 'stuck') for (const pair of this.#pairs) for (const socket of pair) socket.pause().unpipe();
  }

  stop(): void {
    this.set('cut');
    this.#server.close();
  }

  #join(inner: Socket): void {
    inner.on('error', () => undefined);
    if (this.#trouble === 'cut') {
      inner.destroy();
      return;
    }
    const outer = connect(this.#target, '127.0.0.1');
    const pair = [inner, outer] as const;
    this.#pairs.add(pair);
    const stuck = this.#trouble === 'stuck';
    for (const [from, to] of [pair, [outer, inner] as const]) {
      if (!stuck) from.on('data', (bytes: Buffer) => this.#pass(from, to, bytes));
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#pairs.delete(pair);
        to.destroy();
      });
    }
  }

  #pass(from: Socket, to: Socket, bytes: Buffer): void {
    if (this.#trouble !== 'slow') {
      to.write(bytes);
      return;
    }
    from.pause();
    setTimeout(() => {
      to.write(bytes);
      if (this.#trouble !== 'stuck') from.resume();
    }, DELAY);
  }
}
