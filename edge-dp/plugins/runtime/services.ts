import type { Row } from '../../../shared/record.ts';
import type { StoredResponse } from '../../durable/stored-response.ts';
import type { BodySource, HttpResponse } from '../../http/messages.ts';
import type { RedisServer } from '../../redis/client.ts';
import type { LuaSettings, TracingSettings } from '../../settings.ts';

/**
 * What a plugin may use of its node: one implementation for each host, fakes in tests. What a host cannot do throws
 * `ServiceError` with `unsupported`, and belongs into the plugin's `needs`, so that the control plane names it beforehand.
 */
export interface Services {
  readonly node: { readonly id: string; readonly hostname: string };
  /** What the gateway adds to Via of an answer that it fetched for a client; null: `headers` does not have it. */
  readonly via: string | null;
  /** What Lua in config may do on this node. */
  readonly lua: LuaSettings;
  readonly tracing: TracingSettings;
  /** Whether `trusted_ips` has an address. */
  trusts(ip: string): boolean;
  /** For references to vaults that are not in config: those a script asks for. Those in config are secrets already. */
  readonly vaults: Vaults;
  /** One line of the node's log. */
  log(level: LogLevel, message: string): void;
  /**
   * An HTTP request of the plugin's own. Gives any response a server gave; throws `ServiceError` when there was none. Only while
   * a request, or work it waits for, is under way.
   */
  fetch(request: OutgoingRequest): Promise<HttpResponse>;
  /** A connection of the plugin's own, plain or with TLS. Throws `ServiceError`. Only while a request, or work it waits for, is under way. */
  connect(address: Address, options: ConnectOptions): Promise<Connection>;
  /** UDP packets of at most 65507 bytes, sent and forgotten: resolves when the machine has taken them. Capability `udp`. */
  datagram(address: Address, packets: readonly Uint8Array[]): Promise<void>;
  /**
   * Adds to a file of the node, never in the middle of another text: `/dev/stdout` and `/dev/stderr` everywhere, others with
   * capability `files`. A relative path begins in the node's prefix. Resolves when it is written; throws `ServiceError`.
   */
  append(file: AppendedFile, text: string): Promise<void>;
  /** Lines for the machine's syslog. Resolves when its daemon has them; throws `ServiceError`. Capability `syslog`. */
  syslog(lines: readonly SyslogLine[]): Promise<void>;
  /**
   * Kong's queue: entries are sent in batches, tried again, and dropped when they are too many or too old. Those who name the same
   * queue share it, with the options and the `send` of whom came first, as long as one of them is open.
   */
  queue<T>(name: string, options: QueueOptions, send: SendBatch<T>): Queue<T>;
  /**
   * The same for batches that are HTTP requests, which any answer below 300 takes. Where work after a client's request has an end
   * (Cloudflare), what could not be delivered by then goes on at the node's outbox.
   */
  deliveries<T>(name: string, options: QueueOptions, describe: (batch: readonly T[]) => Delivery): Queue<T>;
  /** Counts within windows of time, shared by the isolates of the node, or by all nodes. */
  readonly counters: Counters;
  /**
   * Counts in a Redis, whatever their scope: each request there and then, or (`syncRate`, seconds) on the node, which compares notes with it
   * that often. The node has one connection to each server.
   */
  redisCounters(server: RedisServer, syncRate: number | null): Counters;
  /** Small values with an end, shared by the isolates of the node, or by all nodes: tokens, sessions, challenges. */
  records(collection: string, scope: Scope): Records;
  /** Counts for Prometheus, which the node keeps while it runs and shows at its Status API. */
  readonly metrics: Metrics;
  /** A memory of the isolate, the least recently used out first. Those who name the same one share it. */
  cache<T>(name: string, options: { readonly maxBytes: number }): Cache<T>;
  /** Copies of answers, in the memory of the node. */
  readonly responses: Responses;
  /** Copies of answers, in the cache of the edge; null where there is none. */
  readonly edgeResponses: Responses | null;
}

export interface Vaults {
  /** What a reference comes to on this node, or why there is nothing; kept for as long as its vault says. */
  secret(
    reference: string,
  ): Promise<{ readonly value: string; readonly missing: null } | { readonly value: null; readonly missing: string }>;
}

export type LogLevel = 'debug' | 'info' | 'notice' | 'warn' | 'error' | 'crit';

/** Why a service could not do what it was asked. `message` is for the operator's log, never for clients. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly code: ServiceErrorCode;

  constructor(code: ServiceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export type ServiceErrorCode =
  /** This host cannot do it; the message says what. */
  | 'unsupported'
  | 'timeout'
  | 'dns'
  /** Refused, reset, no route. */
  | 'unreachable'
  /** The handshake failed, or the certificate was not accepted. */
  | 'tls'
  /** What came back is not the protocol. */
  | 'protocol'
  /** What keeps the state (counters, records) does not answer. */
  | 'unavailable';

/** Milliseconds: to connect, that nothing is taken of the body, and that nothing of the response comes; one number is for each. */
export type RequestTimeout = number | Readonly<Record<'connect' | 'write' | 'read', number>>;

export interface OutgoingRequest {
  readonly url: string;
  /** GET when absent. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | BodySource | null;
  readonly timeout: RequestTimeout;
  /** Checks the server's certificate; true when absent. False: capability `tls_unverified`. */
  readonly verify?: boolean;
  /** `http://user:password@host:port` of an HTTP proxy. Capability `http_proxy`. */
  readonly proxy?: string | null;
}

export interface Address {
  /** Name or address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

export interface ConnectOptions {
  /** Null: none (`Connection.startTls` may follow). */
  readonly tls: TlsOptions | null;
  /** Milliseconds for the connection and its TLS. */
  readonly timeout: number;
  /**
   * Takes a connection that was kept (`Connection.keep`) under the same name, address and TLS, if there is one. Who leaves
   * connections in different states gives them different names. Absent: always a new one.
   */
  readonly pool?: string;
}

export interface TlsOptions {
  /** SNI, and the name the certificate must carry; null: the address's host. */
  readonly serverName: string | null;
  /** False: capability `tls_unverified`. */
  readonly verify: boolean;
  /** PEM of the CAs to verify by; absent or empty: those the node trusts. Only where the host has an egress process. */
  readonly ca?: readonly string[];
  /** PEM pair to present. Only where the host has an egress process. */
  readonly certificate?: { readonly cert: string; readonly key: string } | null;
}

/** Ends with the request it was opened for. A peer that breaks off looks like one that ends. */
export interface Connection {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /** It was kept by somebody before (`ConnectOptions.pool`). */
  readonly reused: boolean;
  /**
   * The same connection with TLS from here on, in streams of its own; what was sent in clear and not read is lost. Nothing may be
   * unwritten. Throws `ServiceError`, and the connection is closed then.
   */
  startTls(options: TlsOptions): Promise<Connection>;
  /**
   * Closes it, or, where the host can, keeps it open for so many milliseconds for the next of its pool. Nothing may be unread. Throws
   * `ServiceError` where the peer does not take what was written.
   */
  keep(milliseconds: number): Promise<void>;
  close(): Promise<void>;
}

export interface AppendedFile {
  readonly path: string;
  /** Opens the file anew for each write (`file-log`'s `reopen`): for what rotates logs by renaming. */
  readonly reopen: boolean;
}

export interface SyslogLine {
  readonly severity: 'debug' | 'info' | 'notice' | 'warning' | 'err' | 'crit' | 'alert' | 'emerg';
  /** `user`, `local0`… */
  readonly facility: string;
  readonly message: string;
}

/** As in the `queue` field of Kong's plugins; times in seconds. */
export interface QueueOptions {
  readonly max_batch_size: number;
  readonly max_coalescing_delay: number;
  readonly max_entries: number;
  readonly max_bytes: number | null;
  readonly initial_retry_delay: number;
  readonly max_retry_delay: number;
  readonly max_retry_time: number;
  /** 1, or absent: one batch after the other; -1: each as soon as it is full. */
  readonly concurrency_limit?: number;
}

/** Sends a batch. Throws when it is to be tried again. */
export type SendBatch<T> = (batch: readonly T[]) => Promise<void>;

/** The request that brings a batch. */
export interface Delivery {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  readonly timeout: RequestTimeout;
  /** The URL as logs may have it: without user, password and query. */
  readonly shown: string;
}

export interface Queue<T> {
  /** Adds an entry (plain data). `on`: the request it comes from, which lends its time. `bytes`: its size, where `max_bytes` is to hold. */
  push(entry: T, on: { waitUntil(work: Promise<unknown>): void }, bytes?: number): void;
  /** Nobody adds any more: what is left is sent without waiting for company. */
  close(): void;
}

/** `node`: all isolates of the data plane. `cluster`: all data planes; the node alone while they cannot reach each other. */
export type Scope = 'node' | 'cluster';

/** Counts are kept until their window is over. */
export interface Window {
  /** Names what is counted, without the window. */
  readonly key: string;
  /** Milliseconds since the epoch, and milliseconds: fixed windows. */
  readonly start: number;
  readonly length: number;
  /** `take` never lets the count of the scope go above it. */
  readonly limit: number;
}

export interface Usage {
  /** What has been counted in the scope, what was just taken included; a little late where much is allowed. */
  readonly used: number;
  /** Whether there was room. */
  readonly room: boolean;
}

/** Throws `ServiceError` with `unavailable` when the counts cannot be had (`fault_tolerant` decides what then). */
export interface Counters {
  /** Counts `amount` in every window if each has room for it, in none otherwise. At once where the isolate holds a lease. */
  take(windows: readonly Window[], amount: number, scope: Scope): readonly Usage[] | Promise<readonly Usage[]>;
  /** Counts `amount` whether there is room or not; negative amounts give back. */
  add(windows: readonly Window[], amount: number, scope: Scope): Promise<void>;
  /** Looks without counting. */
  usage(windows: readonly Window[], scope: Scope): readonly Usage[] | Promise<readonly Usage[]>;
}

/**
 * Values are JSON, of 32 KB at most. Throws `ServiceError` with `unavailable`. In scope `cluster` what is put is known on this node
 * at once and on the others soon, all the same while the control plane is away; what `add` and `take` decide is then decided by
 * the node.
 */
export interface Records {
  /** Null: none, or its time is over. */
  get(key: string): Promise<unknown>;
  /**
   * `ttl` in seconds; 0: until it is deleted. `secrets`: members of the value that only the control plane gets, where others are
   * to have digests of them.
   */
  put(key: string, value: unknown, ttl: number, secrets?: Readonly<Row>): Promise<void>;
  /** Puts it only where nothing is; false when something is. */
  add(key: string, value: unknown, ttl: number): Promise<boolean>;
  /** Gets and deletes in one step: for what may be used once. */
  take(key: string): Promise<unknown>;
  delete(key: string): Promise<void>;
}

/** Counts of the whole node, a second late. `on`: the request they come from, which lends its time. */
export interface Metrics {
  /** `labels` as they stand in the exposition, between the braces. */
  count(family: string, labels: string, amount: number, on: { waitUntil(work: Promise<unknown>): void }): void;
  /** Into a histogram of these bounds, ascending. */
  observe(
    family: string,
    bounds: readonly number[],
    labels: string,
    value: number,
    on: { waitUntil(work: Promise<unknown>): void },
  ): void;
  /** Has them shown, until the function that is given is called. */
  show(what: keyof ShownMetrics): () => void;
}

/** What plugins have shown with the node's metrics. */
export interface ShownMetrics {
  /** What plugins count, by these or former configurations. */
  readonly counts: boolean;
  /** The health of targets. */
  readonly upstreamHealth: boolean;
}

export interface Cache<T> {
  get(key: string): T | undefined;
  /** `ttl` in seconds; 0: as long as there is room. `bytes`: what it weighs. */
  set(key: string, value: T, ttl: number, bytes: number): void;
  delete(key: string): void;
  clear(): void;
}

/**
 * Copies of answers, shared by the isolates of the node; on Cloudflare each isolate's own. Which of them may be used for a request is
 * the plugin's to judge; what was purged, or made void by an unsafe request, is not given any more. Never throws: a node whose shared
 * memory does not answer goes on with the isolate's.
 */
export interface Responses {
  /** Null: none. At once where the isolate has it. */
  find(key: string): StoredResponse | null | Promise<StoredResponse | null>;
  keep(response: StoredResponse): Promise<void>;
  /** An unsafe request has succeeded: what was asked of that URI before is void (RFC 9111 section 4.4). */
  invalidate(target: string): Promise<void>;
  /** Bytes a single one may have. */
  readonly largest: number;
}
