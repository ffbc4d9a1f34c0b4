import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { HttpResponse } from '../../../http/messages.ts';
import type { Arrival } from '../../../proxy/request-path.ts';
import { KEEP_ALIVE } from '../http/keep-alive.ts';
import type { RefusalPages } from '../http/refuse.ts';
import type { NodeRequest } from '../http/request.ts';
import { Allowance } from './allowance.ts';
import { answer, breakOff, endedByClient, informStream, isComplete, refuseStream } from './answer.ts';
import type { Misuse, MisuseKind } from './misuse.ts';
import { type HeadLimits, http2Request } from './request.ts';
import { answerWebSocket } from './websocket.ts';

/** What a listener gives each of its connections. */
export interface Http2Surroundings {
  /** Where its requests go. */
  readonly serve: (request: NodeRequest, facts: Arrival) => Promise<HttpResponse>;
  readonly limits: HeadLimits;
  readonly pages: RefusalPages;
  /** Milliseconds for the first request, and those without one behind it. */
  readonly firstTimeout: number;
  readonly idleTimeout: number;
  /** Requests of one connection. */
  readonly requests: number;
  /** Milliseconds in which a client must take something of an answer. */
  readonly sendTimeout: number;
  readonly misuse: Misuse;
}

/** Streams at a time: nginx's `http2_max_concurrent_streams`. */
const MOST_STREAMS = 128;
/** Bytes of a header list for nghttp2: above what is answered 400, since what exceeds this is reset without an answer. */
const MOST_HEADER_LIST = 128 << 10;

const SETTINGS = {
  // Browsers' WebSockets: RFC 8441.
  enableConnectProtocol: true,
  enablePush: false,
  maxConcurrentStreams: MOST_STREAMS,
  maxHeaderListSize: MOST_HEADER_LIST,
} as const;

const SESSION = {
  settings: SETTINGS,
  maxHeaderListPairs: 2_000,
  // What upstreams repeat is theirs to repeat.
  strictSingleValueFields: false,
  // Megabytes: all that streams may have on their way in.
  maxSessionMemory: 32,
  // nghttp2 ends connections without a word; it stands behind the allowances below.
  streamResetBurst: 4_000,
  streamResetRate: 200,
} as const;

/** Streams that a client may end before they are answered. A gRPC client with many short deadlines does so all the time. */
const RESETS = { most: 1_000, perSecond: 33 };
const PINGS = { most: 1_000, perSecond: 50 };
/** Bytes sent that allow another PING: clients that measure the path send some with all they receive. */
const BYTES_PER_PING = 1_024;
const SETTINGS_FRAMES = { most: 100, perSecond: 1 };
/** nginx's bound for floods: so many bytes, and eight for each that meant something. */
const IDLE_BYTES = 1 << 20;
const IDLE_SHARE = 8;
/** Bytes of a body that a client may have on their way before it is told that nobody wants them: the window of a stream. */
const WINDOW = 65_535;
/** Milliseconds in which a client that is asked to leave knows it, and those in which it has to have gone. */
const GOAWAY_KNOWN = 1_000;
const GONE = 5_000;

/** `lastStreamID` of a GOAWAY that is a warning: requests on their way are still taken (RFC 9113 section 6.8). */
const ALL_STREAMS = 2 ** 31 - 1;

/** A stream with a request, until its answer is out. */
interface Exchange {
  readonly stream: ServerHttp2Stream;
  /** Bytes of the answer that the client had not taken when it was last looked at, and since when it took none. */
  untaken: number;
  since: number;
}

/** A client's connection in HTTP/2, within bounds. */
export class Http2Connection {
  readonly #socket: Socket;
  readonly #facts: Arrival;
  readonly #around: Http2Surroundings;
  readonly #session: ServerHttp2Session;
  readonly #exchanges = new Set<Exchange>();
  readonly #resets: Allowance;
  readonly #pings: Allowance;
  readonly #settings: Allowance;
  #requests = 0;
  /** Bytes of header fields and bodies that came. */
  #meant = 0;
  /** Bytes of bodies that came, or may have come, when their requests were over already: nobody sees them. */
  #unwanted = 0;
  #sentAtPing = 0;
  #idleSince: number;
  /** Milliseconds: when it was told to end; null: it goes on. */
  #endingSince: number | null = null;
  /** Why it ends is known: its client left, or was told. */
  #explained = false;
  /** It is ended for what its client does. */
  #barred = false;

  constructor(socket: Socket, facts: Arrival, around: Http2Surroundings, ended: () => void) {
    const now = performance.now();
    this.#socket = socket;
    this.#facts = facts;
    this.#around = around;
    this.#resets = new Allowance(RESETS, now);
    this.#pings = new Allowance(PINGS, now);
    this.#settings = new Allowance(SETTINGS_FRAMES, now);
    this.#idleSince = now;
    // A client that has closed its side is gone, as for nginx: it can open no window any more.
    socket.allowHalfOpen = false;
    // Calls and tunnels may be silent for long: it is the kernel that finds out whether the client is still there.
    socket.setKeepAlive(true, KEEP_ALIVE);
    const session = performServerHandshake(socket, SESSION);
    this.#session = session;
    session.on('stream', (stream, _headers, flags, block) => this.#begin(stream, flags, block));
    session.on('ping', () => this.#pinged());
    session.on('remoteSettings', () => {
      if (!this.#settings.take(performance.now())) this.#misused('settings');
    });
    session.on('error', (error) => {
      if (!this.#barred && isMisuse(error)) this.#tellFault(error.message);
      this.#explained = true;
    });
    const left = (): void => {
      this.#explained = true;
    };
    socket.once('end', left).once('error', left);
    session.once('goaway', left);
    session.once('close', () => {
      // nghttp2 says itself why, to the client alone.
      if (!this.#explained && this.#endingSince === null) this.#tellFault('by what nghttp2 bounds');
      ended();
    });
  }

  /** Nothing new is taken, what there is is finished; then it ends. */
  leave(): void {
    const session = this.#session;
    if (this.#endingSince !== null || session.destroyed) return;
    this.#endingSince = performance.now();
    const close = (): void => {
      if (!session.destroyed) session.close();
    };
    session.goaway(constants.NGHTTP2_NO_ERROR, ALL_STREAMS);
    const late = setTimeout(close, GOAWAY_KNOWN);
    // What a client sends behind the answer to this it has sent knowing.
    session.ping(() => {
      clearTimeout(late);
      close();
    });
  }

  /** Looks at what only time tells; once in a while. */
  look(now: number): void {
    const idle = this.#exchanges.size === 0;
    if (this.#endingSince !== null && idle && now - this.#endingSince > GONE) {
      this.#destroy();
      return;
    }
    for (const exchange of this.#exchanges) this.#lookAt(exchange, now);
    const { bytesRead, bytesWritten } = this.#socket;
    const fair = IDLE_BYTES + this.#unwanted + IDLE_SHARE * (this.#meant + bytesWritten);
    if (bytesRead > fair) this.#misused('idle_frames');
    else if (idle && now - this.#idleSince > this.#patience) this.leave();
  }

  get #patience(): number {
    const { firstTimeout, idleTimeout } = this.#around;
    return this.#requests === 0 ? firstTimeout : idleTimeout;
  }

  #begin(stream: ServerHttp2Stream, flags: number, block: readonly string[]): void {
    stream.on('error', () => undefined);
    // Ended in the same breath: nobody has to know of it.
    if (stream.destroyed || stream.closed) {
      this.#reset();
      return;
    }
    if (this.#barred) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    const { limits, pages, serve } = this.#around;
    const bodyless = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    for (let at = 0; at < block.length; at++) this.#meant += block[at]?.length ?? 0;
    if (!bodyless) this.#expectRest(stream);
    const begun = http2Request(stream, block, { bodyless, limits });
    if ('status' in begun) {
      refuseStream(stream, pages.page(begun, begun.asked));
      return;
    }
    const { request, websocket } = begun;
    this.#requests += 1;
    if (this.#requests >= this.#around.requests) this.leave();
    const exchange: Exchange = { stream, untaken: 0, since: 0 };
    this.#exchanges.add(exchange);
    if (request.body !== null) this.#countBody(stream);
    stream.once('close', () => {
      this.#exchanges.delete(exchange);
      this.#idleSince = performance.now();
      if (isComplete(stream)) return;
      if (endedByClient(stream)) this.#reset();
      request.leave();
    });
    request.informer = { inform: (status, lines) => informStream(stream, status, lines) };
    serve(request, this.#facts).then(
      (response) => {
        if (stream.destroyed || stream.closed) response.discard();
        else this.#answer(request, websocket, response, stream);
      },
      (error: unknown) => broken(error, stream),
    );
  }

  #answer(request: NodeRequest, websocket: string | null, response: HttpResponse, stream: ServerHttp2Stream): void {
    const { pages } = this.#around;
    try {
      if (websocket === null) answer(request, response, stream, pages);
      else answerWebSocket(request, websocket, response, stream, pages);
    } catch (error) {
      response.discard();
      broken(error, stream);
    }
  }

  /** Of a stream that ends before its body does, what was on its way is dropped without a word, and is no idle frame. */
  #expectRest(stream: ServerHttp2Stream): void {
    let whole = false;
    // Node tells of an end, too, where it closes the stream itself.
    stream.once('end', () => {
      whole = !stream.closed;
    });
    stream.once('close', () => {
      if (!whole) this.#unwanted += WINDOW;
    });
  }

  /** Without setting the stream in motion, which whoever wants the body does. */
  #countBody(stream: ServerHttp2Stream): void {
    stream.pause();
    stream.on('data', (part: Buffer) => {
      this.#meant += part.byteLength;
    });
  }

  #pinged(): void {
    const { bytesWritten } = this.#socket;
    this.#pings.give((bytesWritten - this.#sentAtPing) / BYTES_PER_PING);
    this.#sentAtPing = bytesWritten;
    if (!this.#pings.take(performance.now())) this.#misused('pings');
  }

  #reset(): void {
    if (!this.#resets.take(performance.now())) this.#misused('resets');
  }

  #lookAt(exchange: Exchange, now: number): void {
    const { stream } = exchange;
    if (stream.closed) return;
    const untaken = stream.writableFinished ? 0 : stream.writableLength;
    if (untaken === 0 || untaken !== exchange.untaken) {
      exchange.untaken = untaken;
      exchange.since = now;
    } else if (now - exchange.since > this.#around.sendTimeout) {
      this.#around.misuse.tell('stalled', this.#facts.peerIp);
      stream.close(constants.NGHTTP2_CANCEL);
    }
  }

  #misused(kind: MisuseKind): void {
    if (this.#barred) return;
    this.#barred = true;
    this.#endingSince ??= performance.now();
    this.#around.misuse.tell(kind, this.#facts.peerIp);
    if (!this.#session.destroyed) this.#session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    // Not at once: the client may read why.
    setTimeout(() => this.#destroy(), GOAWAY_KNOWN).unref();
  }

  #tellFault(details: string): void {
    this.#around.misuse.tell('protocol', this.#facts.peerIp, details);
  }

  #destroy(): void {
    // Without an error Node's last word to the client would be that there is none.
    const error = this.#barred ? new Error('ended for what its client does') : undefined;
    if (!this.#session.destroyed) this.#session.destroy(error, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.#socket.destroy();
  }
}

/** Not the end of a connection that is nobody's fault. */
function isMisuse(error: Error): boolean {
  const code = 'code' in error ? error.code : null;
  return code !== 'ECONNRESET' && code !== 'EPIPE' && code !== 'ETIMEDOUT';
}

/** A fault of our own, where there is no answer. */
function broken(error: unknown, stream: ServerHttp2Stream): void {
  console.error('a request was not answered:', error);
  breakOff(stream);
}
