import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { OwnResponse } from '../../../http/messages.ts';
import { type Asking, defaultMessage, errorResponse, negotiatePage, SERVER } from '../../../proxy/errors.ts';
import { compileResponseTokens, type ResponseTokens } from '../../../proxy/response-headers.ts';
import type { ProxySettings } from '../../../settings.ts';

/** Why something is no request, or not one that is served. */
export interface Refusal {
  readonly status: number;
  /** Absent: the usual one of the status. */
  readonly message?: string;
}

/** nginx's text for a head that is too large, whose status 494 clients see as 400. */
export const TOO_LARGE: Refusal = { status: 400, message: 'Request header or cookie too large' };

/** Error pages for what the request path never sees, as it writes and marks its own. */
export class RefusalPages {
  readonly #errorDefaultType: string;
  readonly #tokens: ResponseTokens;

  constructor(settings: Pick<ProxySettings, 'errorDefaultType' | 'headers' | 'allowDebugHeader'>) {
    this.#errorDefaultType = settings.errorDefaultType;
    this.#tokens = compileResponseTokens(settings);
  }

  /** `asked`: what was read of the request before. */
  page({ status, message = defaultMessage(status) }: Refusal, asked: Asking): OwnResponse {
    const requestId = crypto.randomUUID().replaceAll('-', '');
    const page = errorResponse(negotiatePage(asked, this.#errorDefaultType), { status, message, requestId });
    page.headers.set('Date', new Date().toUTCString());
    if (this.#tokens.server) page.headers.set('Server', SERVER);
    if (this.#tokens.requestId) page.headers.set('X-Kong-Request-Id', requestId);
    return page;
  }
}

/** Sends a page where there may be no request to answer, and ends the connection. */
export function refuse(socket: Duplex, { status, headers, content }: OwnResponse): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = typeof content === 'string' ? content : '';
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (let at = 0; at < headers.lines.length; at += 2) head += `${headers.lines[at]}: ${headers.lines[at + 1]}\r\n`;
  socket.end(`${head}Connection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  // What the client goes on sending is not read, but its own end is waited for.
  socket.on('error', () => socket.destroy());
  socket.resume();
  const late = setTimeout(() => socket.destroy(), LINGER);
  late.unref();
  socket.once('close', () => clearTimeout(late));
}

/** Milliseconds a refused client has to close its side: nginx's `lingering_timeout`. */
const LINGER = 5_000;
