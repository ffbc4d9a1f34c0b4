import type { Readable } from 'node:stream';
import type { EgressTimeouts } from '../../proxy/egress/protocol.ts';
import type { EgressError } from './failure.ts';
import type { RawHeaders } from './headers.ts';

/** A request to be sent upstream: all of it but where to connect. */
export interface UpstreamCall {
  readonly scheme: 'http' | 'https';
  readonly method: string;
  /** Value of the Host header (`:authority` in HTTP/2). */
  readonly authority: string;
  /** Path and query as they go on the wire. */
  readonly path: string;
  /** Without Host, and without what belongs to one connection. */
  readonly headers: RawHeaders;
  /** Null: it has none. A stream is destroyed with the request. */
  readonly body: Readable | Uint8Array | null;
  /** What comes behind the body, once it has ended; null: nothing can. */
  readonly trailers: (() => RawHeaders) | null;
  readonly timeouts: EgressTimeouts;
}

/** Who takes the answer, as it came. After `end` or `fail` nothing more comes. */
export interface AnswerSink {
  /** An interim answer that is not about the request alone (102, 103 and others to come); absent: nobody wants to know. */
  inform?(status: number, headers: RawHeaders): void;
  /** The head, interim ones left out; `headers` are the taker's from then on. Throws an `EgressError` for one that cannot be passed on. */
  begin(status: number, reason: string | undefined, headers: string[]): void;
  /**
   * False: to be told by `onDrain` when there is room for more. `done`: the chunk is lent, and this is to be called once nobody needs its
   * bytes any more; who keeps them does not.
   */
  data(chunk: Buffer, done?: () => void): boolean;
  onDrain(listener: () => void): void;
  /** Of trailers names and values in turn. */
  end(trailers: RawHeaders): void;
  fail(error: EgressError): void;
  /** Calls when nobody wants the rest, or all, of the answer any more; at once when that is so already. */
  onAbandoned(abandon: () => void): void;
}
