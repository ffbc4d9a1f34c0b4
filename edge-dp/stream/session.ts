import type { ClientAddress } from '../../shared/client-address.ts';
import { hashKey } from '../balancer/hash-key.ts';
import { onlyPeer, type PeerPicker } from '../balancer/peers.ts';
import { FieldList } from '../http/fields.ts';
import type { Authorities } from '../plugins/runtime/authorities.ts';
import type { Chain } from '../plugins/runtime/chain.ts';
import type { Try } from '../plugins/runtime/exchange.ts';
import { SlotArray } from '../plugins/runtime/slot.ts';
import type { StreamChoice, StreamSession } from '../plugins/runtime/stream.ts';
import type { UpstreamFailure } from '../proxy/egress/egress.ts';
import type { Route, Service } from '../proxy/entities.ts';
import type { Gateway } from '../proxy/gateway.ts';
import type { ClientTls } from '../proxy/request-path.ts';
import type { ProxyRuntime } from '../proxy/runtime.ts';
import type { Peer } from '../proxy/upstream-request.ts';
import { chosenTls, OWN_TLS } from '../proxy/upstream-tls.ts';
import type { Dial, MovedBytes, StreamArrival, StreamPassage, StreamPlace } from './passage.ts';
import { logPhase, prereadPhase } from './plugin-phases.ts';

/** Status of a session that came to an upstream, and of one that did not: nginx's, and 499 for a client that left before. */
const OK = 200;
const REFUSED_ALL = 502;
const NO_SERVICE = 503;
const BROKEN = 500;
const CLIENT_LEFT = 499;

/** Schemes of services whose upstreams are spoken to over TLS. */
const SECURE = new Set(['tls', 'https', 'grpcs']);

const NO_FIELDS = new FieldList();

/** One session on its way through the gateway. */
export class Session implements StreamSession, StreamPassage {
  readonly id = crypto.randomUUID().replaceAll('-', '');
  readonly startedAt = Date.now();
  readonly client: ClientAddress;
  readonly route: Route;
  readonly service: Service | null;
  /** Of the config that it began with. */
  readonly serial: number | null;
  readonly identity = { consumer: null };
  readonly shared = new Map<string, unknown>();
  readonly slots = new SlotArray();
  readonly upstream: StreamChoice = { ...OWN_TLS, target: null, tls: null };
  readonly passthrough: boolean;
  readonly timeouts: StreamPassage['timeouts'];
  tls: ClientTls | null = null;
  farewell: Uint8Array | null = null;
  readonly tries: { -readonly [K in keyof Try]: Try[K] }[] = [];
  status = OK;
  /** When there was an upstream, or none; milliseconds since the epoch. */
  decidedAt = 0;
  readonly #gateway: Gateway;
  readonly #runtime: ProxyRuntime;
  readonly #arrival: StreamArrival;
  readonly #chain: Chain;
  #peers: PeerPicker | null = null;
  #left = 0;
  #onEnd: (() => void)[] = [];
  /** A session of datagrams may end while it is still looking for an upstream. */
  #over = false;

  constructor(
    gateway: Gateway,
    runtime: ProxyRuntime,
    arrival: StreamArrival,
    matched: Pick<Session, 'route' | 'service' | 'client' | 'serial'> & { readonly chain: Chain },
  ) {
    const { route, service, client, chain } = matched;
    this.#gateway = gateway;
    this.#runtime = runtime;
    this.#arrival = arrival;
    this.#chain = chain;
    this.client = client;
    this.route = route;
    this.service = service;
    this.serial = matched.serial;
    this.passthrough = arrival.protocol === 'tls' && !route.protocols.includes('tls');
    this.timeouts = { read: service?.readTimeout ?? 0, write: service?.writeTimeout ?? 0 };
    // Those that end their process wait for its log.
    runtime.exchanges.open += 1;
  }

  get protocol(): StreamSession['protocol'] {
    return this.#arrival.protocol;
  }

  get serverName(): string | null {
    return this.#arrival.serverName;
  }

  get serverPort(): number {
    return this.#runtime.portOf(this.#arrival.localPort);
  }

  get authorities(): Authorities {
    return this.#gateway.authorities;
  }

  get workspace(): string {
    return this.route.workspace;
  }

  get workspaceName(): string | null {
    return this.#gateway.workspaceNames.get(this.workspace) ?? null;
  }

  waitUntil(work: Promise<unknown>): void {
    this.#arrival.waitUntil(work);
  }

  secured(tls: ClientTls): void {
    this.tls = tls;
  }

  async open<T>(dial: Dial<T>): Promise<T | null> {
    if (this.tls !== null && this.tls.refusal !== null) return this.#decided(BROKEN);
    const refusal = await prereadPhase(this.#chain, this);
    if (refusal !== null) return this.#decided(refusal);
    const { service } = this;
    if (service === null) {
      console.warn(`session ${this.id}: route ${nameOf(this.route)} has no service`);
      return this.#decided(NO_SERVICE);
    }
    this.#peers = await this.#peersOf(service);
    this.#left = service.retries;
    return this.#try(service, this.#peers, dial);
  }

  connected(): void {
    this.#peers?.connected((listener) => this.#onEnd.push(listener));
  }

  async reopen<T>(failure: UpstreamFailure, dial: Dial<T>): Promise<T | null> {
    const { service } = this;
    if (service === null || this.#peers === null) return null;
    return this.#failed(service, this.#peers, failure) ? this.#try(service, this.#peers, dial) : null;
  }

  ended(moved: MovedBytes): void {
    this.#over = true;
    if (this.decidedAt === 0) this.#decided(CLIENT_LEFT);
    for (const listener of this.#onEnd.splice(0)) listener();
    logPhase(this.#chain, this, moved, this.#runtime.telemetry);
    this.#runtime.exchanges.open -= 1;
  }

  async #try<T>(service: Service, peers: PeerPicker, dial: Dial<T>): Promise<T | null> {
    for (;;) {
      if (this.#over) return null;
      const startedAt = Date.now();
      const peer = peers.next();
      if (peer === null) {
        console.warn(`session ${this.id}: service ${nameOf(service)}: ${peers.refusal}`);
        return this.#decided(NO_SERVICE);
      }
      const place = this.#placeOf(service, peer, peers.clientCertificate);
      if (place === null) return this.#decided(BROKEN);
      const { host, port } = peer;
      const balancerLatency = Date.now() - startedAt;
      this.tries.push({ host, port, startedAt, balancerLatency, status: null, failure: null, failedAs: null });
      const result = await dial(place);
      if (result.kind === 'connected') {
        this.#decided(OK);
        return result.connection;
      }
      if (!this.#failed(service, peers, result.failure)) return null;
    }
  }

  /** True: there is another try. */
  #failed(service: Service, peers: PeerPicker, failure: UpstreamFailure): boolean {
    const attempt = this.tries.at(-1);
    if (failure.code === 'client_left') {
      this.#decided(CLIENT_LEFT);
      return false;
    }
    if (attempt !== undefined) {
      attempt.failure = failure.code;
      attempt.failedAs = failure.code === 'connect_timeout' ? 504 : 502;
    }
    console.warn(`session ${this.id}: service ${nameOf(service)}: ${failure.code}: ${failure.message}`);
    // To a stream a connection that cannot be made is one, whether or not another is tried.
    peers.failed(failure, false);
    if (this.#left === 0) {
      this.#decided(failure.code === 'dns' ? NO_SERVICE : REFUSED_ALL);
      return false;
    }
    this.#left -= 1;
    return true;
  }

  #decided(status: number): null {
    this.status = status;
    this.decidedAt = Date.now();
    return null;
  }

  /** Null, and a line in the log: the config protects the session in a way there are no means for. */
  #placeOf(service: Service, { host, port, hostname }: Peer, lentCertificate: string | null): StreamPlace | null {
    const place = { host: host.replace(/^\[|\]$/g, ''), port, connectTimeout: service.connectTimeout };
    const secure = SECURE.has(service.protocol) && this.upstream.tls !== false;
    if (this.passthrough || this.protocol === 'udp' || !secure) return { ...place, tls: null };
    const settings = this.#gateway.tls(service, lentCertificate);
    if ('missing' in settings) {
      const { missing, reason } = settings;
      const details = reason === null ? '' : ` (${reason})`;
      console.error(`session ${this.id}: service ${nameOf(service)} needs ${missing}${details}`);
      return null;
    }
    const kept = this.route.preserveHost ? this.serverName : null;
    return { ...place, tls: { settings: chosenTls(settings, this.upstream), serverName: kept ?? hostname } };
  }

  async #peersOf(service: Service): Promise<PeerPicker> {
    const { balancers } = this.#gateway;
    const { health, serviceHosts } = this.#runtime;
    const { target } = this.upstream;
    const { host, port } = target ?? service;
    const { workspace } = service;
    const balancer = balancers.named(workspace, host) ?? serviceHosts?.of(host, port);
    if (balancer === undefined) return onlyPeer(target === null ? service : { ...service, host, port });
    const waitUntil = (work: Promise<unknown>): void => this.waitUntil(work);
    const resolving = balancer.resolve(waitUntil);
    if (resolving !== null) await resolving;
    const { upstream } = balancer;
    health.touch(upstream, balancers, waitUntil);
    return balancer.peers({
      key: upstream.algorithm === 'consistent-hashing' ? hashKey(upstream, this.#hashable()).key : '',
      onLeave: (listener) => this.#onEnd.push(listener),
      health: {
        changed(upstream, address, healthy) {
          health.changed(upstream, address, healthy);
          health.touch(upstream, balancers, waitUntil);
        },
        failed(upstream, address, kind) {
          health.failed(upstream, address, kind);
          health.touch(upstream, balancers, waitUntil);
        },
      },
    });
  }

  #hashable(): Parameters<typeof hashKey>[1] {
    const nobody = { consumer: null, credential: null, captures: {} };
    return { ...nobody, clientIp: this.client.ip, headers: NO_FIELDS, path: '', query: '' };
  }
}

function nameOf({ id, name }: { readonly id: string; readonly name: string | null }): string {
  return name ?? id;
}
