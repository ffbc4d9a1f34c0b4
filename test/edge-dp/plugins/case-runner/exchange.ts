import { connect as connectPlain } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ResolvedRequest } from './values.ts';

/** What came back for one request. */
export interface CaseAnswer {
  readonly status: number;
  /** By lower-case name; the lines of one name joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The connection ended without an answer. */
  readonly closed: boolean;
}

/** Milliseconds without a byte after which an answer is not waited for any longer. */
const QUIET = 60_000;

/** Sends a request byte by byte as it is written, on a connection of its own. */
export function exchange(request: ResolvedRequest, port: number): Promise<CaseAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<CaseAnswer>();
  const host = request.headers.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? '';
  const socket = request.tls
    ? connectTls({
        host: '127.0.0.1',
        port,
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
        ...serverName(host),
      })
    : connectPlain(port, '127.0.0.1');
  let received = Buffer.alloc(0);
  const settle = (ended: boolean): void => {
    const answer = readAnswer(received, request.method, ended);
    if (answer === null) return;
    resolve(answer);
    socket.destroy();
  };
  socket.on(request.tls ? 'secureConnect' : 'connect', () => socket.write(bytesOf(request)));
  socket.on('data', (data: Buffer) => {
    received = Buffer.concat([received, data]);
    settle(false);
  });
  // A reset is an end too: what came before it counts.
  socket.on('error', () => undefined);
  socket.on('close', () => settle(true));
  socket.setTimeout(QUIET, () => {
    reject(new Error(`no answer to ${request.method} ${request.path} within ${QUIET / 1000} s, only '${received}'`));
    socket.destroy();
  });
  return promise;
}

function serverName(host: string): { readonly servername?: string } {
  const name = host.replace(/:\d+$/, '');
  return /^[\d.]+$|^$/.test(name) ? {} : { servername: name };
}

function bytesOf({ method, path, headers, body }: ResolvedRequest): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}`);
  const sent = new Set(headers.map(([name]) => name.toLowerCase()));
  const content = Buffer.from(body ?? '');
  const chunked = sent.has('transfer-encoding');
  if (body !== null && !chunked && !sent.has('content-length')) lines.push(`Content-Length: ${content.length}`);
  if (!sent.has('connection')) lines.push('Connection: close');
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  const chunk = content.length === 0 ? '' : `${content.length.toString(16)}\r\n${body}\r\n`;
  return Buffer.concat([head, chunked ? Buffer.from(`${chunk}0\r\n\r\n`) : content]);
}

/** The answer in the bytes received; null while it is incomplete and more may come. */
function readAnswer(received: Buffer, method: string, ended: boolean): CaseAnswer | null {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return ended ? { status: 0, headers: {}, text: '', closed: true } : null;
  const [statusLine = '', ...fields] = received.subarray(0, end).toString('latin1').split('\r\n');
  const status = Number(statusLine.split(' ')[1]);
  const rest = received.subarray(end + 4);
  if (status < 200 && status !== 101) return readAnswer(rest, method, ended);
  const headers: Record<string, string> = {};
  for (const field of fields) {
    const colon = field.indexOf(':');
    const name = field.slice(0, colon).toLowerCase();
    const value = field.slice(colon + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  const body = readBody(rest, headers, method === 'HEAD' || status === 204 || status === 304, ended);
  return body && { status, headers, text: body.toString(), closed: false };
}

function readBody(
  rest: Buffer,
  headers: Readonly<Record<string, string>>,
  without: boolean,
  ended: boolean,
): Buffer | null {
  if (without) return Buffer.alloc(0);
  if (/chunked/i.test(headers['transfer-encoding'] ?? '')) return dechunked(rest) ?? (ended ? rest : null);
  const length = headers['content-length'];
  if (length === undefined) return ended ? rest : null;
  return rest.length >= Number(length) || ended ? rest.subarray(0, Number(length)) : null;
}

function dechunked(bytes: Buffer): Buffer | null {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return null;
    const size = Number.parseInt(bytes.subarray(at, line).toString('latin1'), 16);
    at = line + 2 + size + 2;
    if (bytes.length < at) return null;
    if (size === 0) return Buffer.concat(chunks);
    chunks.push(bytes.subarray(line + 2, line + 2 + size));
  }
}
