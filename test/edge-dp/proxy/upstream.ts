import { createServer, type Socket } from 'node:net';
import { freePorts } from '../../free-port.ts';

interface SeenRequest {
  /** The whole request as it came over the wire, latin1. */
  readonly raw: string;
  readonly line: string;
  /** Values of a header, one per line, in order. */
  all(name: string): string[];
  header(name: string): string | undefined;
  readonly body: string;
  /** Requests on this connection before this one. */
  readonly reused: number;
}

export interface Upstream {
  readonly port: number;
  readonly host: string;
  readonly seen: SeenRequest[];
  stop(): Promise<void>;
}

/** Answers one request: the bytes to send, or what to do with the socket itself. */
type Answer = (request: SeenRequest, socket: Socket) => string | undefined;

const ok: Answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** An HTTP/1.1 server that records exactly what it was sent and answers exactly what it is told to. */
export async function startUpstream(answer: Answer = ok, port = 0, host = '127.0.0.1'): Promise<Upstream> {
  const seen: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    let buffer = '';
    let reused = 0;
    socket.on('data', (data) => {
      buffer += data.toString('latin1');
      for (let size = sizeOf(buffer); size !== null; size = sizeOf(buffer)) {
        const request = parse(buffer.slice(0, size), reused++);
        buffer = buffer.slice(size);
        seen.push(request);
        const bytes = answer(request, socket);
        if (bytes !== undefined) socket.write(bytes, 'latin1');
      }
    });
  });
  // One that is stopped may be started again where it was.
  const [chosen] = port === 0 && host === '127.0.0.1' ? await freePorts(1) : [port];
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(chosen, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  return {
    port: address.port,
    host,
    seen,
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Bytes of the first request in the buffer; null while it is incomplete. */
function sizeOf(buffer: string): number | null {
  const end = buffer.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const head = buffer.slice(0, end).toLowerCase();
  const length = /\r\ncontent-length: (\d+)/.exec(head);
  if (length !== null) {
    const size = end + 4 + Number(length[1]);
    return buffer.length >= size ? size : null;
  }
  if (!head.includes('\r\ntransfer-encoding: chunked')) return end + 4;
  for (let at = end + 4; ; ) {
    const line = buffer.indexOf('\r\n', at);
    if (line < 0) return null;
    const size = Number.parseInt(buffer.slice(at, line), 16);
    if (size === 0) {
      // Behind the trailers, if there are any.
      const last = buffer.indexOf('\r\n\r\n', line);
      return last < 0 ? null : last + 4;
    }
    at = line + 2 + size + 2;
  }
}

function parse(raw: string, reused: number): SeenRequest {
  const end = raw.indexOf('\r\n\r\n');
  const [line = '', ...fields] = raw.slice(0, end).split('\r\n');
  const all = (name: string): string[] =>
    fields
      .filter((field) => field.toLowerCase().startsWith(`${name.toLowerCase()}:`))
      .map((field) => field.slice(name.length + 1).trim());
  return { raw, line, all, header: (name) => all(name)[0], body: raw.slice(end + 4), reused };
}
