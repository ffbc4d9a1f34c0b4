import { type IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import { messageOf } from '../../../shared/thrown.ts';
import { EGRESS_ERROR, encodeHeader } from '../../proxy/egress/protocol.ts';
import { EgressError, statusOf } from './failure.ts';
import type { RawHeaders } from './headers.ts';

const NOTHING = new Uint8Array();
/** Reason phrases that are passed on. */
const PLAIN = /^[\t\x20-\x7e]*$/;

/** One request of the Worker and the response to it. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  #body: PassThrough | null = null;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    response.sendDate = false;
  }

  /** An exchange on a connection that Node's server let go of for an upgrade: any response ends it. */
  static ofUpgrade(request: IncomingMessage, socket: Socket): Exchange {
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    response.once('finish', () => socket.end());
    return new Exchange(request, response);
  }

  /**
   * The request's body, or null when it has none. A stream of its own: HTTP clients destroy the body of a request
   * that failed, and with it would go the connection the Worker waits on for the reason.
   */
  body(): Readable | null {
    const { headers } = this.request;
    if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return null;
    const body = new PassThrough();
    this.#body = body;
    this.request.pipe(body);
    // The Worker is gone: what it did not send must not look like a complete body upstream.
    this.request.once('error', (error) => body.destroy(error));
    body.on('error', () => {});
    return body;
  }

  /**
   * Sends the head of the response at once. `reason`: undefined for the status' usual one; one beyond ASCII, which clients
   * ignore like any other, is left out. Throws an `EgressError` for a head that Node will not write.
   */
  begin(status: number, reason: string | undefined, headers: RawHeaders): void {
    try {
      if (reason === undefined) this.response.writeHead(status, [...headers]);
      else this.response.writeHead(status, PLAIN.test(reason) ? reason : '', [...headers]);
    } catch (error) {
      throw new EgressError('protocol', true, `the response cannot be passed on: ${messageOf(error)}`);
    }
    // `flushHeaders` would write it in UTF-8, and bytes above 0x7f as two.
    this.response.write(NOTHING);
  }

  /** Calls `abandon` when the Worker goes away before the response is complete. */
  onAbandoned(abandon: () => void): void {
    this.response.once('close', () => {
      if (!this.response.writableFinished) abandon();
    });
  }

  /** Tells the Worker why there is no response, or, when one has begun, breaks it off. */
  fail(error: EgressError): void {
    if (this.response.headersSent) {
      // It may be such an answer itself.
      if (!this.response.writableEnded) this.response.destroy();
      return;
    }
    this.#discardBody();
    const status = statusOf(error.failure);
    // A head that could not be written has left its reason behind.
    this.response.writeHead(status, STATUS_CODES[status], [
      EGRESS_ERROR,
      encodeHeader(error.failure),
      'content-length',
      '0',
      ...(this.request.complete ? [] : ['connection', 'close']),
    ]);
    this.response.end();
  }

  /** The response is complete, maybe before the request: the upstream does not want the rest of it. */
  end(last?: Buffer): void {
    this.response.end(last);
    this.#discardBody();
  }

  /** Reads on for a while, so that the Worker, still sending, finds the answer and not a broken connection. */
  #discardBody(): void {
    if (this.#body !== null) this.request.unpipe(this.#body);
    if (this.request.complete) return;
    this.request.resume();
    const { socket } = this.request;
    const patience = setTimeout(() => socket.destroy(), DISCARD_FOR);
    for (const event of ['end', 'close']) this.request.once(event, () => clearTimeout(patience));
  }
}

/** Milliseconds a body is read for after its request has been answered. */
const DISCARD_FOR = 5_000;

/** Any error as one for the Worker. */
export function asEgressError(error: unknown): EgressError {
  if (error instanceof EgressError) return error;
  return new EgressError('bad_request', false, messageOf(error));
}
