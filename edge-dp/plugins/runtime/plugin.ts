import type { HttpResponse } from '../../http/messages.ts';
import type { Exchange } from './exchange.ts';
import type { TlsHandshake } from './handshake.ts';
import type { Reply } from './reply.ts';
import type { GatewayRequest } from './request.ts';
import type { Services } from './services.ts';
import type { StreamExchange, StreamSession } from './stream.ts';

/**
 * What a plugin is to the data plane: the default export of `edge-dp/plugins/<name>.ts`. It is compiled once for each of
 * its configurations; the hooks of those that apply to a request run in Kong's order (priority descending, ties by name
 * descending), in every phase. `docs/plugin-development.md` is the guide.
 */
export interface Plugin<Config = unknown> {
  readonly name: string;
  readonly version: string;
  readonly priority: number;
  /**
   * It only looks at what comes of requests: where the secrets of its configuration cannot be had, they go on without it. All
   * others fail closed.
   */
  readonly watches?: true;
  /**
   * Once per configuration, when config is applied: whatever can be computed from `config` belongs here. Throws what is wrong
   * with it, in words for the operator: the config is then refused and the last one kept. Nothing may be sent from here.
   */
  compile(config: Config, place: Place, services: Services): Hooks;
}

/** Where a configuration is attached: ids of the plugin row itself and of what it is bound to. */
export interface Place {
  readonly id: string;
  readonly instanceName: string | null;
  readonly workspace: string;
  readonly route: string | null;
  readonly service: string | null;
  readonly consumer: string | null;
  readonly consumerGroup: string | null;
}

/**
 * A plugin with one of its configurations: what it does in each phase. A phase without hooks costs nothing. What `rewrite`,
 * `access` and `response` throw is answered with Kong's 500 and told to the log with plugin, route and request id.
 */
export interface Hooks {
  /**
   * Before a client's TLS is answered; global configurations only, on hosts that do TLS by themselves (capability `tls_handshake`).
   * `refused`, or what it throws, ends the connection.
   */
  certificate?(handshake: TlsHandshake): Step<'refused'>;
  /** Before the router; global configurations only. Method, headers and query as it leaves them are what routes are matched by. */
  rewrite?(request: GatewayRequest): Step<Answer>;
  /**
   * Whose credential a request shows, by the id of its consumer: looked up, not checked. For requests that are split by consumer, before
   * the config they meet is chosen. The request is a copy, which goes nowhere; its body is not to be read.
   */
  claimant?(request: GatewayRequest): Step<string>;
  /** Before the upstream is called. An answer ends the request with it; hooks of later phases run all the same. */
  access?(request: GatewayRequest): Step<Answer>;
  /**
   * When the head of the answer is there, whoever made it: of the upstream, of a plugin, or of the gateway. Status, headers and
   * body may be changed; status, body and headers of an answer take the place of these, and the hooks after this one see that.
   */
  response?(request: GatewayRequest, reply: Reply): Step<Answer>;
  /** `response` is there for what other hooks may ask for, and is no phase of the plugin: traces do not tell of it. */
  readonly untracedResponse?: true;
  /** Its response or log hook looks at `request.received`. */
  readonly asksForReceived?: true;
  /** After the last byte, or when the client is gone. What it throws is only logged. Must not wait; `request.waitUntil` may. */
  log?(exchange: Exchange): void;
  /**
   * Whether `log` will have something to do with the request: asked when its answer is there, that its body need not be followed to its
   * end for nobody. Without it, it has.
   */
  logs?(request: GatewayRequest): boolean;
  /**
   * Before a connection or a UDP client's first packet is sent on, on hosts that have listeners for such (capability `stream`). A
   * number refuses it: the `status` that is logged.
   */
  preread?(session: StreamSession): Step<number>;
  /** When such a session is over. As `log`. */
  logStream?(exchange: StreamExchange): void;
  /**
   * What `access` comes to, as far as it follows from the head of a request alone: the status it answers with, or that it lets the request
   * go on. Without it nobody knows (`holdfast release replay`).
   */
  foresee?(request: ForeseenRequest): number | 'passes';
  /** The configuration is gone: let go of what `compile` made. A request that began before may still run the other hooks. */
  close?(): void;
}

/** The head of a request that is not sent. */
export interface ForeseenRequest {
  readonly headers: { has(name: string): boolean };
  readonly query: string;
}

/** What a hook gives: nothing goes on to the next plugin. Without a promise where none is needed: each costs. */
export type Step<T> = T | undefined | Promise<T | undefined>;

/** What ends a request. A response by itself is the gateway's own (`kong.response.exit`). */
export type Answer = HttpResponse | QualifiedAnswer;

export interface QualifiedAnswer {
  readonly response: HttpResponse;
  /** It counts as the upstream's (a copy from a cache): headers and statistics are those of a proxied request. */
  readonly served: boolean;
  /** Milliseconds spent waiting for others (a function, a model), which are no latency of the gateway. */
  readonly waited: number;
}

/** An answer that counts as the upstream's. */
export function served(response: HttpResponse, waited = 0): QualifiedAnswer {
  return { response, served: true, waited };
}

/** An answer of the gateway's own that others were waited for. */
export function waitedFor(response: HttpResponse, waited: number): QualifiedAnswer {
  return { response, served: false, waited };
}

/** Either kind of answer, with all that is known of it. */
export function qualified(answer: Answer): QualifiedAnswer {
  return 'served' in answer ? answer : { response: answer, served: false, waited: 0 };
}
