import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { once } from '../../once.ts';
import { until } from '../../until.ts';

/** One request to a sink. */
export interface SunkRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** An HTTP server that remembers what is sent to it. */
export interface LogSink {
  readonly port: number;
  readonly received: SunkRequest[];
  /** What it answers with from now on; `null`: nothing, ever; `close`: it closes the connection. */
  answer: number | null | 'close';
  /** The first request that fits; waits for it. */
  find(what: string, fits: (request: SunkRequest) => boolean): Promise<SunkRequest>;
  stop(): Promise<void>;
}

/** `pair`: the certificate and key, in PEM, that it speaks TLS with. */
export async function startLogSink(pair?: { readonly cert: string; readonly key: string }): Promise<LogSink> {
  const received: SunkRequest[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({
        method: request.method ?? '',
        target: request.url ?? '',
        headers: request.headers,
        text: Buffer.concat(chunks).toString('utf8'),
        at: Date.now(),
      });
      if (sink.answer === 'close') request.socket.destroy();
      else if (sink.answer !== null) response.writeHead(sink.answer).end();
    });
  };
  const server = pair === undefined ? createServer(listener) : createTlsServer(pair, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sink: LogSink = {
    port: (server.address() as AddressInfo).port,
    received,
    answer: 200,
    async find(what, fits) {
      await until(() => received.some(fits), what);
      const found = received.find(fits);
      if (found === undefined) throw new Error(`${what} was there, and is not any more`);
      return found;
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return sink;
}
