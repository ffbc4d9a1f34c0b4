import type { Socket } from 'node:net';
import { type Duplex, Readable } from 'node:stream';
import type { AnswerSink, UpstreamCall } from './call.ts';
import { Deadline } from './deadline.ts';
import type { DirectReads } from './direct-reads.ts';
import { asEgressError, EgressError, readTimeout, requestFailure, writeTimeout } from './failure.ts';
import type { RawHeaders } from './headers.ts';
import { lengthIn, NotHttp, type ResponseHead, requestHead, trailerLines } from './http1-head.ts';
import { type ResponseEvents, ResponseReader } from './http1-reader.ts';
import { Http1Upload } from './http1-upload.ts';

/** Takes the connection of an Upgrade request over. */
export type Upgraded = (upstream: Duplex, headers: RawHeaders) => void;

/** A request on its way to an upstream, before it has a connection and after. */
export class Http1Exchange {
  readonly call: UpstreamCall;
  readonly sink: AnswerSink;
  /** The protocol asked for, and who takes the connection then. */
  readonly upgrade: { readonly protocol: string; readonly upgraded: Upgraded } | null;
  /** Nobody wants any more of the answer. */
  abandoned = false;
  connection: Http1Connection | null = null;

  constructor(call: UpstreamCall, sink: AnswerSink, upgrade: Http1Exchange['upgrade']) {
    this.call = call;
    this.sink = sink;
    this.upgrade = upgrade;
    // It may break off before there is a connection; who sends it finds out.
    if (call.body instanceof Readable) call.body.on('error', () => undefined);
    sink.onAbandoned(() => {
      this.abandoned = true;
      this.connection?.abandon(this);
    });
  }

  /** Its answer will not come. */
  fail(error: EgressError): void {
    const { body } = this.call;
    if (body instanceof Readable && !body.destroyed) body.destroy();
    this.sink.fail(error);
  }
}

/** What a connection tells whoever keeps it. */
interface Keeper {
  /** It is free; for so many milliseconds, where its server says so. */
  free(connection: Http1Connection, idle: number | null): void;
  /** It is of no use any more. */
  gone(connection: Http1Connection): void;
}

/** An HTTP/1.1 connection to an upstream, which serves one request at a time. */
export class Http1Connection implements ResponseEvents {
  readonly #socket: Socket;
  /** What it gives lies where the next read will, or another connection's. */
  readonly #reads: DirectReads | null;
  readonly #where: string;
  readonly #keeper: Keeper;
  readonly #reader = new ResponseReader(this);
  readonly #deadline = new Deadline(() => this.#late());
  #waitsFor: 'read' | 'write' | 'next' = 'next';
  #exchange: Http1Exchange | null = null;
  #upload: Http1Upload | null = null;
  #head: ResponseHead | null = null;
  /** Requests it has carried; bytes came since the last began. */
  #carried = 0;
  #heard = false;
  /** Nobody has room for more of the answer. */
  #paused = false;
  #gone = false;

  /** `reads`: of the socket, where it does not give them itself. */
  constructor(socket: Socket, reads: DirectReads | null, where: string, keeper: Keeper) {
    this.#socket = socket;
    this.#reads = reads;
    this.#where = where;
    this.#keeper = keeper;
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    if (reads === null) socket.on('data', this.#onData);
    else {
      reads.attach((part) => {
        this.#onData(part);
        return this.#exchange !== null;
      });
    }
  }

  /** Sends a request; the connection must be free. */
  send(exchange: Http1Exchange): void {
    const { call, upgrade } = exchange;
    const { body } = call;
    if (body instanceof Readable && body.destroyed) {
      this.#keeper.free(this, null);
      exchange.fail(new EgressError('closed', false, `${this.#where}: the body broke off`));
      return;
    }
    let length: number | 'chunked' | null = null;
    if (body instanceof Readable) length = lengthIn(call.headers) ?? 'chunked';
    else if (body !== null) length = body.byteLength;
    // As its client said it.
    else if (lengthIn(call.headers) === 0) length = 0;
    let head: string;
    try {
      head = requestHead(call, length, upgrade?.protocol ?? null);
    } catch (error) {
      // It is as good as it was.
      this.#keeper.free(this, null);
      exchange.fail(asEgressError(error));
      return;
    }
    this.#carried += 1;
    this.#heard = false;
    this.#head = null;
    this.#exchange = exchange;
    exchange.connection = this;
    this.#reader.expect(call.method);
    const socket = this.#socket;
    if (body instanceof Readable) {
      this.#deadline.lift();
      socket.write(head, 'latin1');
      const framing = typeof length === 'number' ? length : (): string => trailerLines(call.trailers?.() ?? []);
      this.#upload = new Http1Upload(body, framing, socket, {
        onStalled: () => this.#wait('write', call.timeouts.write),
        onFlowing: () => this.#flowing(),
        onSent: () => this.#flowing(),
        onBroken: (error) => this.#fail(new EgressError('closed', true, `${this.#where}: ${error.message}`)),
      });
      return;
    }
    if (body === null) socket.write(head, 'latin1');
    else {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body);
      socket.uncork();
    }
    this.#wait('read', call.timeouts.read);
  }

  /** Nobody uses it: for so many milliseconds it stays. */
  rest(milliseconds: number): void {
    this.#wait('next', milliseconds);
  }

  abandon(exchange: Http1Exchange): void {
    if (this.#exchange === exchange) this.#fail(new EgressError('closed', true, 'the request was abandoned'));
  }

  destroy(): void {
    this.#leave();
    this.#socket.destroy();
  }

  // What the reader tells.

  onInterim({ status, headers }: ResponseHead): void {
    this.#exchange?.sink.inform?.(status, headers);
  }

  onHead(head: ResponseHead): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    this.#head = head;
    const { status, reason, headers } = head;
    if (status === 101) {
      if (exchange.upgrade === null)
        this.#fail(new EgressError('protocol', true, `${this.#where}: switched protocols without being asked to`));
      return;
    }
    try {
      exchange.sink.begin(status, reason, headers);
    } catch (error) {
      this.#fail(asEgressError(error));
    }
  }

  onBody(part: Buffer): void {
    const sink = this.#exchange?.sink;
    if (sink === undefined) return;
    const done = this.#reads?.lend(part);
    const kept = this.#reads === null || done !== undefined ? part : Buffer.from(part);
    if (sink.data(kept, done) || this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
    sink.onDrain(() => this.#resume());
  }

  onEnd(trailers: readonly string[]): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    const reusable = this.#reusable(exchange);
    this.#exchange = null;
    exchange.connection = null;
    this.#deadline.lift();
    this.#upload?.stop();
    this.#upload = null;
    this.#resume();
    const idle = this.#head?.idle ?? null;
    exchange.sink.end(trailers);
    if (reusable && !this.#gone) this.#keeper.free(this, idle);
    else this.destroy();
  }

  #reusable({ upgrade }: Http1Exchange): boolean {
    return this.#head?.persistent === true && upgrade === null && this.#upload?.complete !== false;
  }

  // What the socket tells.

  readonly #onData = (part: Buffer): void => {
    if (this.#exchange === null) {
      // Nobody asked for it: whoever comes next must not take it for an answer.
      this.destroy();
      return;
    }
    this.#heard = true;
    let rest: Buffer | null;
    try {
      rest = this.#reader.read(part);
    } catch (error) {
      this.#fail(this.#unreadable(error));
      return;
    }
    const exchange: Http1Exchange | null = this.#exchange;
    if (this.#head?.status === 101 && exchange !== null) this.#upgraded(exchange, rest);
    else if (rest !== null) this.#fail(this.#closed('the upstream sent more than its answer'));
    else if (exchange !== null && this.#waitsFor === 'read' && !this.#paused)
      this.#deadline.set(exchange.call.timeouts.read);
  };

  readonly #onDrain = (): void => this.#upload?.drained();

  readonly #onEnd = (): void => {
    if (this.#exchange !== null && this.#reader.close()) return;
    this.#fail(this.#closed('the upstream ended the connection'));
  };

  readonly #onError = (error: Error): void => {
    this.#fail(requestFailure(error, this.#where, this.#staleSoFar));
  };

  readonly #onClose = (): void => this.#fail(this.#closed('the connection was closed'));

  #upgraded(exchange: Http1Exchange, rest: Buffer | null): void {
    const socket = this.#socket;
    const headers = this.#head?.headers ?? [];
    this.#exchange = null;
    exchange.connection = null;
    this.#leave();
    socket.off('data', this.#onData);
    socket.off('drain', this.#onDrain);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    socket.pause();
    if (rest !== null) socket.unshift(rest);
    exchange.upgrade?.upgraded(socket, headers);
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
    if (this.#exchange !== null && this.#waitsFor === 'read') this.#deadline.set(this.#exchange.call.timeouts.read);
  }

  /** The upstream takes the body again, or has all of it. */
  #flowing(): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    if (this.#upload?.complete === true && !this.#socket.writableNeedDrain)
      this.#wait('read', exchange.call.timeouts.read);
    else if (!this.#socket.writableNeedDrain) this.#deadline.lift();
  }

  #wait(what: 'read' | 'write' | 'next', milliseconds: number): void {
    this.#waitsFor = what;
    this.#deadline.set(milliseconds);
  }

  #late(): void {
    if (this.#waitsFor === 'next') this.destroy();
    // Who does not take the answer is not its sender.
    else if (this.#paused && this.#waitsFor === 'read') return;
    else this.#fail(this.#waitsFor === 'write' ? writeTimeout(this.#where) : readTimeout(this.#where));
  }

  #unreadable(error: unknown): EgressError {
    if (!(error instanceof NotHttp)) return asEgressError(error);
    return new EgressError('protocol', true, `${this.#where}: the response is not HTTP (${error.message})`);
  }

  /** It had served others, and nothing came since this request began. */
  get #staleSoFar(): boolean {
    return this.#carried > 1 && !this.#heard;
  }

  #closed(message: string): EgressError {
    return new EgressError('closed', true, `${this.#where}: ${message}`, this.#staleSoFar);
  }

  #fail(error: EgressError): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    const upload = this.#upload;
    this.#upload = null;
    this.destroy();
    upload?.stop();
    if (exchange === null) return;
    exchange.connection = null;
    exchange.fail(error);
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#deadline.end();
    this.#reader.stop();
    this.#keeper.gone(this);
  }
}
