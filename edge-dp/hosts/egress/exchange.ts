import { type IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { type Duplex, PassThrough, type Readable } from 'node:stream';
import { messageOf } from '../../../shared/thrown.ts';
import { EGRESS_ERROR, EGRESS_LENGTH, type EgressTarget, encodeHeader } from '../../proxy/egress/protocol.ts';
import type { AnswerSink } from './call.ts';
import { EgressError, statusOf } from './failure.ts';
import { headerOf, type RawHeaders, responseHeaders } from './headers.ts';
import { joinSockets } from './http1.ts';
import { passedPhrase } from './http1-head.ts';
import { trailerFrame } from './trailer-frame.ts';

const NOTHING = new Uint8Array();

/** One request of the Worker and the response to it. */
export class Exchange implements AnswerSink {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** How the upstream's trailers are told. */
  trailers: EgressTarget['trailers'];
  /** It asks by a POST what a HEAD with a body asks for. */
  bodiless = false;
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
   * Sends the head of the response at once. `reason`: undefined for the status' usual one. Throws an `EgressError` for a head that Node will not write.
   */
  begin(status: number, reason: string | undefined, headers: string[]): void {
    const passed = responseHeaders(headers);
    if (this.bodiless) renameLength(passed);
    try {
      if (reason === undefined) this.response.writeHead(status, passed);
      else this.response.writeHead(status, passedPhrase(reason), passed);
    } catch (error) {
      throw new EgressError('protocol', true, `the response cannot be passed on: ${messageOf(error)}`);
    }
    // `flushHeaders` would write it in UTF-8, and bytes above 0x7f as two.
    this.response.write(NOTHING);
  }

  data(chunk: Buffer, done?: () => void): boolean {
    return this.response.writableEnded || this.response.write(chunk, done);
  }

  onDrain(listener: () => void): void {
    this.response.once('drain', listener);
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
      // It may be such an answer itself. Node keeps what was written until the end of this tick.
      if (!this.response.writableEnded) process.nextTick(() => this.response.destroy());
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
    if (this.request.complete) this.response.end();
    else {
      // Its end would be the connection's, upon which the Worker, still sending, would never read it.
      this.response.flushHeaders();
      for (const event of ['end', 'close']) this.request.once(event, () => this.response.end());
    }
  }

  /** The response is complete, maybe before the request: the upstream does not want the rest of it. */
  end(trailers: RawHeaders): void {
    if (!this.response.headersSent || this.response.writableEnded) return;
    if (this.trailers === 'grpc-web') this.response.end(trailerFrame(trailers));
    else this.response.end();
    this.#discardBody();
  }

  /** Makes one connection of the Worker's and the upstream's: after the upstream's 101, with its headers. */
  tunnel(socket: Socket, head: Buffer, upstream: Duplex, headers: RawHeaders): void {
    this.response.detachSocket(socket);
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade'];
    lines.push(`Upgrade: ${headerOf(headers, 'upgrade') ?? this.request.headers.upgrade ?? 'websocket'}`);
    const kept = responseHeaders(headers);
    for (let at = 0; at < kept.length; at += 2) lines.push(`${kept[at]}: ${kept[at + 1]}`);
    socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    joinSockets(socket, upstream, head);
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

function renameLength(headers: string[]): void {
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() === 'content-length') headers[at] = EGRESS_LENGTH;
  }
}

/** Milliseconds a body is read for after its request has been answered. */
const DISCARD_FOR = 5_000;
