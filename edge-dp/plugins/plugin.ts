import type { HeaderFields } from '../http/fields.ts';
import type { HttpResponse, IncomingRequest } from '../http/messages.ts';

/**
 * The plugin runtime's contract. A plugin is compiled once per configuration; its hooks run per request, in Kong's
 * order (priority descending, ties by name descending), access forwards, response and log in the same order.
 */

/** What a plugin file of this folder exports as default. */
export interface Plugin<Config = unknown> {
  readonly name: string;
  readonly version: string;
  readonly priority: number;
  compile(config: Config, scope: PluginScope): CompiledPlugin;
}

/** Where a configuration is attached; ids of the plugin row itself and of what it is bound to. */
export interface PluginScope {
  readonly id: string;
  readonly service: string | null;
  readonly route: string | null;
  readonly consumer: string | null;
}

/**
 * A plugin with one of its configurations: what it does in each phase. What `access` and `response` throw is answered
 * with 500; what `log` throws is only logged.
 */
export interface CompiledPlugin {
  /** Before the upstream is called. A returned response ends the request with it. */
  access?(request: RequestContext): HttpResponse | undefined | Promise<HttpResponse | undefined>;
  /** After the upstream (or the gateway) answered, before the client sees it; may change `headers` in place. */
  response?(request: RequestContext, response: ResponseContext): undefined | Promise<undefined>;
  /** After the response was handed to the client. */
  log?(request: RequestContext, response: ResponseContext): void;
}

/** The request as plugins see it. One object per request, created by the proxy. */
export interface RequestContext {
  /** The client's request; its body must not be read unless the plugin needs it (`readBody`). */
  readonly incoming: IncomingRequest;
  /** Raw path and query as received. */
  readonly rawTarget: string;
  /** Query string as received, without `?`. */
  readonly query: string;
  readonly clientIp: string;
  /** 32 lower-case hex digits: `X-Kong-Request-Id`. */
  readonly id: string;
  readonly route: { readonly id: string; readonly name: string | null } | null;
  readonly service: { readonly id: string; readonly name: string | null } | null;
  /** Id of the matched route's workspace, the default one while no route is matched. */
  readonly workspace: string;
  /** Headers to be sent upstream; plugins change them in place. */
  readonly upstreamHeaders: HeaderFields;
  /** Headers plugins add to whatever response the client gets. */
  readonly responseHeaders: HeaderFields;
  /** Query string to be sent upstream, without `?`; untouched byte for byte unless a plugin replaces it. */
  upstreamQuery: string;
  consumer: AuthenticatedConsumer | null;
  credential: AuthenticatedCredential | null;
  /** Reads the whole body once (at most `limit` bytes, else null) and keeps it for the upstream. */
  readBody(limit: number): Promise<Uint8Array | null>;
  /** Replaces the body sent upstream. */
  replaceBody(body: Uint8Array): void;
  /**
   * A row of a lazy table by its lookup value: memory, then KV, then the control plane. Null when there is none in the
   * request's workspace: another workspace's consumers and credentials do not exist here. At once when it is in memory.
   */
  lookup(
    table: string,
    value: string,
  ): Readonly<Record<string, unknown>> | null | Promise<Readonly<Record<string, unknown>> | null>;
  /** All rows of a lazy table with that lookup value (ACL groups of a consumer), of the request's workspace. */
  lookupAll(
    table: string,
    value: string,
  ): readonly Readonly<Record<string, unknown>>[] | Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Kong's error body, negotiated by Accept (`kong.response.error`). */
  error(status: number, message: string, headers?: Record<string, string>): HttpResponse;
  /** Compact JSON body without request id (`kong.response.exit`). */
  exit(status: number, body: unknown, headers?: Record<string, string>): HttpResponse;
  waitUntil(work: Promise<unknown>): void;
}

/** Whom a request was found to come from: `X-Consumer-*` upstream. */
export interface AuthenticatedConsumer {
  readonly id: string;
  readonly username: string | null;
  readonly custom_id: string | null;
}

/** What that was found by. */
export interface AuthenticatedCredential {
  readonly id: string;
  /** What `X-Credential-Identifier` shows. */
  readonly identifier: string;
}

/** The response on its way to the client. */
export interface ResponseContext {
  status: number;
  readonly headers: HeaderFields;
  /** Whether the upstream or the gateway made the response. */
  readonly source: 'upstream' | 'kong';
}
