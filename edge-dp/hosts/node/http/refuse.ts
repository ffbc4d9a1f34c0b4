import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { defaultMessage, errorResponse, SERVER } from '../../../proxy/errors.ts';

/** nginx's text for a head that is too large, whose status 494 clients see as 400. */
export const TOO_LARGE = { status: 400, message: 'Request header or cookie too large' } as const;

/** What is no request, or not one that is served: the error page, and the end of the connection. */
export function refuse(socket: Duplex, status: number, message: string = defaultMessage(status)): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = crypto.randomUUID().replaceAll('-', '');
  const { content, headers } = errorResponse('plain', { status, message, requestId });
  const body = typeof content === 'string' ? content : '';
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Date: ${new Date().toUTCString()}`,
    `Content-Type: ${headers.get('content-type')}`,
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Server: ${SERVER}`,
    `X-Kong-Request-Id: ${requestId}`,
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
  // What the client goes on sending is not read, but its own end is waited for.
  socket.on('error', () => socket.destroy());
  socket.resume();
  const late = setTimeout(() => socket.destroy(), LINGER);
  late.unref();
  socket.once('close', () => clearTimeout(late));
}

/** Milliseconds a refused client has to close its side: nginx's `lingering_timeout`. */
const LINGER = 5_000;
