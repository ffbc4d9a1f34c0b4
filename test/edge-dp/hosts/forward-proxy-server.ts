import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** A forward proxy for CONNECT that asks for a user and password. */
export class ForwardProxyServer {
  /** What it was asked to connect to. */
  readonly asked: string[] = [];
  /** Bytes it has passed on, and whether any of them could be read. */
  readonly passed: Buffer[] = [];
  /** What it answers in place of connecting. */
  refusal: string | null = null;
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('connect', (request: IncomingMessage, inner: Socket) => this.#connect(request, inner));
    server.on('connection', (socket: Socket) => this.#sockets.add(socket));
  }

  static async start(tls: { readonly cert: string; readonly key: string } | null): Promise<ForwardProxyServer> {
    const server = tls === null ? createServer() : createSecure(tls);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new ForwardProxyServer(server);
  }

  /** Answers what it is asked for itself. */
  serve(listener: RequestListener): void {
    this.#server.on('request', listener);
  }

  #connect(request: IncomingMessage, inner: Socket): void {
    const to = request.url ?? '';
    this.asked.push(to);
    const expected = `Basic ${Buffer.from('us er:p@ss:w').toString('base64')}`;
    const refusal =
      request.headers['proxy-authorization'] === expected ? this.refusal : '407 Proxy Authentication Required';
    if (refusal !== null) {
      inner.end(`HTTP/1.1 ${refusal}\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const [, host = '', port] = /^(.*):(\d+)$/.exec(to) ?? [];
    // The name is the proxy's to resolve: nobody else knows it.
    const outer = connect({ host: host.endsWith('.test') ? '127.0.0.1' : host, port: Number(port) });
    this.#sockets.add(outer);
    outer.once('connect', () => {
      inner.write('HTTP/1.1 200 Connection established\r\n\r\n');
      inner.on('data', (bytes: Buffer) => this.passed.push(bytes));
      inner.pipe(outer);
      outer.pipe(inner);
    });
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
