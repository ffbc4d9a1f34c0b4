import type { HeaderFields } from '../../http/fields.ts';
import type { ReplySource } from './reply.ts';
import type { GatewayRequest } from './request.ts';

/** What came of a request, when all of it is over: everything a log entry or a statistic is made of. */
export interface Exchange {
  /** As the plugins left it. */
  readonly request: GatewayRequest;
  readonly reply: { readonly status: number; readonly headers: HeaderFields; readonly source: ReplySource };
  /** Path and query sent upstream; null when nothing was. */
  readonly upstreamTarget: string | null;
  /** The same, or what would have been sent had no plugin answered; empty where no route was matched. */
  readonly upstreamUri: string;
  /** Of the request's workspace; null: the config does not have it. */
  readonly workspaceName: string | null;
  /** Of the listener it came in on, as clients reach it; null where the host does not tell. */
  readonly listenerPort: number | null;
  /** One for each attempt, in order; empty when nothing was sent. */
  readonly tries: readonly Try[];
  /** Of the name that the first attempt went to; null where it is an address, or the runtime's business. */
  readonly lookup: NameLookup | null;
  readonly latencies: Latencies;
  /** Bytes of the bodies where they are known: declared, or read. Null: they were streamed without being counted. */
  readonly bytes: { readonly in: number | null; readonly out: number | null };
  /** The client was gone before the last byte, or the upstream in the middle of its body. Before the head: the status is 499. */
  readonly aborted: boolean;
  /** It was the client that was gone. */
  readonly clientLeft: boolean;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
}

/** One attempt to reach the upstream. */
export interface Try {
  /** What was connected to: an address, or a name where only the runtime resolves it. */
  readonly host: string;
  readonly port: number;
  /** Milliseconds since the epoch; when the balancer began to choose. */
  readonly startedAt: number;
  /** Milliseconds it took to choose. */
  readonly balancerLatency: number;
  /** Of the answer; null when there was none. */
  readonly status: number | null;
  /** Why there was no answer; null when there was one, or the client left first. */
  readonly failure: string | null;
  /** The status a failure counts as: 504 for what took too long, 502 for all else; null without one. */
  readonly failedAs: number | null;
}

/** Where a name was found to lead. */
export interface NameLookup {
  readonly name: string;
  readonly port: number;
  /** Null: nowhere. */
  readonly ip: string | null;
  /** Why it leads nowhere. */
  readonly problem: string | null;
  /** For how long the request waited for it: milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
}

/** Milliseconds. */
export interface Latencies {
  /** What the gateway itself took until it sent the request on, or answered. */
  readonly kong: number;
  /** From sending the request on to the upstream's head; -1: it was not sent on. */
  readonly proxy: number;
  /** From the head to the last byte. */
  readonly receive: number;
  /** From the first byte of the request to the last of the answer. */
  readonly request: number;
}
