import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { CannedAnswer } from './case.ts';

/** A request as it arrived. */
export interface ReceivedRequest {
  readonly method: string;
  /** As on the wire, with its query. */
  readonly target: string;
  /** By lower-case name; the lines of one name joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface CaseUpstream {
  readonly host: string;
  readonly port: number;
  readonly received: readonly ReceivedRequest[];
  stop(): Promise<void>;
}

/**
 * The upstream of one case: records what arrives and echoes it as JSON, unless an answer of the case fits. Special paths:
 * `/status/<n>`, `/headers?name=value` (response headers), `/delay/<ms>`, `/bytes/<n>`. With `port80` it listens there too,
 * on a loopback address of its own, for plugins that know no port.
 */
export async function startCaseUpstream(
  answers: readonly CannedAnswer[] = [],
  { port80 = false } = {},
): Promise<CaseUpstream> {
  const received: ReceivedRequest[] = [];
  const left = answers.map(({ times = Number.POSITIVE_INFINITY }) => times);
  const host = port80 ? ownAddress() : '127.0.0.1';
  const answer: RequestListener = async (incoming, response) => {
    // What the gateway broke off was no request.
    const request = await record(incoming).catch(() => null);
    if (request === null) return;
    received.push(request);
    const place = answers.findIndex(({ path = '' }, n) => Number(left[n]) > 0 && new RegExp(path).test(request.target));
    const canned = answers[place];
    if (canned === undefined) return echo(request, response);
    left[place] = Number(left[place]) - 1;
    await sendCanned(canned, response);
  };
  const server = await listening(answer, 0, host);
  const servers = port80 ? [server, await listening(answer, 80, host)] : [server];
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  return {
    host,
    port: address.port,
    received,
    async stop() {
      await Promise.all(
        servers.map((server) => {
          const closed = new Promise((resolve) => server.close(resolve));
          server.closeAllConnections();
          return closed;
        }),
      );
    },
  };
}

async function listening(listener: RequestListener, port: number, host: string): Promise<Server> {
  // Long enough that it never ends a connection on which a request is on its way.
  const server = createServer({ keepAliveTimeout: 600_000 }, listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new Error(`a case needs port ${port} of ${host}: ${error.message}`));
    });
    server.listen(port, host, resolve);
  });
  return server;
}

/** Somewhere in 127.0.0.0/8, of which Linux answers for every address. */
function ownAddress(): string {
  const number = (): number => 1 + Math.floor(Math.random() * 250);
  return `127.${number()}.${number()}.${number()}`;
}

async function record(incoming: IncomingMessage): Promise<ReceivedRequest> {
  const headers: Record<string, string> = {};
  for (let n = 0; n < incoming.rawHeaders.length; n += 2) {
    const name = String(incoming.rawHeaders[n]).toLowerCase();
    const value = incoming.rawHeaders[n + 1] ?? '';
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return {
    method: incoming.method ?? '',
    target: incoming.url ?? '',
    headers,
    body: Buffer.concat(chunks).toString(),
  };
}

async function echo(request: ReceivedRequest, response: ServerResponse): Promise<void> {
  const { method, target, headers, body } = request;
  const [, kind, value = ''] = /^\/(status|headers|delay|bytes)(?:\/(\d+))?(?:\?|$)/.exec(target) ?? [];
  if (kind === 'bytes') {
    response.setHeader('Content-Type', 'application/octet-stream').setHeader('Content-Length', value);
    response.end('x'.repeat(Number(value)));
    return;
  }
  if (kind === 'delay') await pause(Number(value));
  if (kind === 'status') response.statusCode = Number(value);
  response.setHeader('Content-Type', 'application/json');
  if (kind === 'headers') {
    for (const [name, each] of new URLSearchParams(target.split('?')[1])) response.appendHeader(name, each);
  }
  const text = JSON.stringify({ method, path: target, headers, body });
  if (response.statusCode !== 204 && response.statusCode !== 304) {
    response.setHeader('Content-Length', Buffer.byteLength(text));
  }
  response.end(text);
}

async function sendCanned(answer: CannedAnswer, response: ServerResponse): Promise<void> {
  const { status = 200, headers = {}, body = '', chunks, delay_ms = 0 } = answer;
  await pause(delay_ms);
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (chunks === undefined) {
    if (typeof body !== 'string' && !response.hasHeader('content-type')) {
      response.setHeader('content-type', 'application/json');
    }
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
    return;
  }
  for (const chunk of chunks) {
    // One packet each, as a model that answers piece by piece sends them.
    await new Promise<void>((resolve) => response.write(chunk, () => resolve()));
  }
  response.end();
}
