import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { expect } from 'vitest';
import WebSocket from 'ws';
import {
  type ClusterListener,
  type ClusterListenerOptions,
  startClusterListener,
} from '../../../cp/cluster/listener.ts';
import { networkOf } from '../../../cp/cluster/networks.ts';
import { generateClusterCertificate } from '../../../cp/pki/certificate.ts';
import { type ClusterTls, loadClusterTls } from '../../../cp/pki/cluster-tls.ts';
import { createPublisher, type Publisher } from '../../../cp/publisher/publisher.ts';
import { publishedTables } from '../../../cp/publisher/tables.ts';
import type {
  NodeRecord,
  NodeRegistry,
  RefusedClaim,
  SharedCounts,
  SharedRecords,
  Store,
} from '../../../cp/store/store.ts';
import { parseOrder } from '../../../edge-dp/durable/incoming.ts';
import type { Manifest } from '../../../shared/bundle/format.ts';
import { generateSigningKey, type SigningKey } from '../../../shared/bundle/signing.ts';
import { verifyManifest } from '../../../shared/bundle/verification.ts';
import type { FromControlPlane, FromDataPlane, Hello, Order, OrderMessage } from '../../../shared/cluster/messages.ts';
import { CHALLENGE_HEADER } from '../../../shared/cluster/node-proof.ts';
import { verifyOrder } from '../../../shared/cluster/order.ts';
import { plugins } from '../../../shared/plugins/registry.ts';
import { once } from '../../once.ts';
import { MemoryFeed } from '../publisher/memory-feed.ts';

export const shared = await generateClusterCertificate();
/** `signingKeyFile`: what a control plane in a process of its own reads it from. */
export const { key: signingKey, privateFile: signingKeyFile } = await generateSigningKey();
/** Milliseconds a message of the control plane is waited for. */
const PATIENCE = 60_000;

export const NODE_ID = '11111111-2222-4333-8444-555555555555';

/** What a client needs to open a connection. */
export interface ClientTls {
  readonly cert?: string;
  readonly key?: string;
  readonly ca: string;
  readonly servername: string;
}

export const sharedClient: ClientTls = { ...shared, ca: shared.cert, servername: 'kong_clustering' };

/** A registry in memory; `failure` makes it behave like a database that is away. */
class MemoryRegistry implements NodeRegistry {
  readonly records = new Map<string, NodeRecord>();
  failure: Error | null = null;

  async put(node: Parameters<NodeRegistry['put']>[0], ttl: number) {
    if (this.failure !== null) throw this.failure;
    const now = Math.floor(Date.now() / 1000);
    const refused_claim = this.records.get(node.id)?.refused_claim ?? null;
    const group = String(node.description.group);
    const { capabilities: listed } = node.description;
    const capabilities = Array.isArray(listed) ? listed.map(String) : [];
    const load_ms = typeof node.description.load_ms === 'number' ? node.description.load_ms : null;
    const seen = { last_seen: now, updated_at: now, ttl, connected: true, history: [], load_ms };
    this.records.set(node.id, { ...node, ...seen, group, capabilities, refused_claim });
    return true;
  }

  async keys(id: string) {
    if (this.failure !== null) throw this.failure;
    const keys = this.records.get(id)?.keys;
    return keys === undefined || (keys.node ?? keys.certificate) === null ? null : { keys, certificateIsCommon: false };
  }

  async rebind() {
    return true;
  }

  async targetsOf() {
    return [];
  }

  async count(network: string) {
    const ofAddress = [...this.records.values()].filter(({ ip }) => networkOf(ip) === network).length;
    return { all: this.records.size, ofAddress };
  }

  async tally() {
    return [];
  }

  async noteRefused(id: string, claim: RefusedClaim) {
    const node = this.records.get(id);
    if (node !== undefined) this.records.set(id, { ...node, refused_claim: { ...claim } });
  }

  async forget(id: string) {
    return this.records.delete(id);
  }

  async putAll(nodes: Parameters<NodeRegistry['putAll']>[0]) {
    for (const { node, ttl } of nodes) await this.put(node, ttl);
    return new Set(nodes.map(({ id }) => id));
  }

  async renew(nodes: Parameters<NodeRegistry['renew']>[0]) {
    if (this.failure !== null) throw this.failure;
    return new Set(nodes.filter(({ id }) => this.records.has(id)).map(({ id }) => id));
  }

  async left(ids: readonly string[] | null) {
    for (const node of this.records.values())
      if (ids === null || ids.includes(node.id)) this.records.set(node.id, { ...node, connected: false });
  }

  async health(upstream: string) {
    return [...this.records.values()].flatMap(({ id, hostname, health }) =>
      upstream in health ? [{ id, hostname, targets: health[upstream] }] : [],
    );
  }

  async get(id: string) {
    return this.records.get(id) ?? null;
  }

  async troubledElsewhere() {
    return [];
  }

  async standingElsewhere() {
    return [];
  }

  async page() {
    return { nodes: [...this.records.values()] };
  }
}

export interface ControlPlane {
  readonly feed: MemoryFeed;
  readonly publisher: Publisher;
  readonly listener: ClusterListener;
  readonly registry: MemoryRegistry;
  readonly port: number;
  readonly log: string[];
  stop(): Promise<void>;
}

/** Where nothing is shared. */
const NO_RECORDS: SharedRecords = {
  apply: async (_, changes) => changes.map(() => ({ outcome: 'refused', reason: 'not here' })),
  position: async () => ({ log: NODE_ID, number: 0 }),
  after: async () => ({ after: 0, position: { log: NODE_ID, number: 0 }, records: [], more: false }),
  subscribe: () => () => undefined,
};

/** Where nobody else counts. */
const NO_COUNTS: SharedCounts = { compare: async ({ counts }) => counts.map(() => 0) };

/** A control plane over a database in memory, with real sockets. */
export async function startControlPlane(
  options: { feed?: MemoryFeed; tls?: ClusterTls; port?: number } & Partial<
    Pick<
      ClusterListenerOptions,
      'revocation' | 'version' | 'purgeDelay' | 'records' | 'counts' | 'telemetry' | 'mostNewNodes' | 'mostOfAddress'
    >
  > & { /** Versions of those it has. */ plugins?: Readonly<Record<string, string>> } = {},
): Promise<ControlPlane> {
  const feed = options.feed ?? new MemoryFeed();
  const log: string[] = [];
  const write = (level: string, message: string) => void log.push(`${level} ${message}`);
  const publisher = await createPublisher({
    feed,
    tables: ['services', 'routes', 'plugins'].map((name) => ({ name, bundle: { mode: 'eager' }, ttl: false })),
    pluginVersion: (name) => options.plugins?.[name] ?? '3.9.3',
    signingKey,
    log: write,
  });
  const registry = new MemoryRegistry();
  const listener = await startClusterListener({
    id: crypto.randomUUID(),
    listen: [{ host: '127.0.0.1', port: options.port ?? 0 }],
    telemetryListen: [{ host: '127.0.0.1', port: 0 }],
    tls: options.tls ?? loadClusterTls({ mode: 'shared', ...shared, ca: null, end: 'server' }),
    revocation: options.revocation ?? null,
    publisher,
    registry,
    messages: { send: async () => {}, subscribe: () => () => {} },
    records: options.records ?? NO_RECORDS,
    counts: options.counts ?? NO_COUNTS,
    telemetry: options.telemetry ?? { keep: async () => undefined },
    plugins: Object.keys(options.plugins ?? { 'key-auth': '', cors: '' }),
    version: options.version ?? '1.2.0',
    purgeDelay: options.purgeDelay ?? 1000,
    ...(options.mostNewNodes !== undefined && { mostNewNodes: options.mostNewNodes }),
    ...(options.mostOfAddress !== undefined && { mostOfAddress: options.mostOfAddress }),
    log: write,
  });
  return {
    feed,
    publisher,
    listener,
    registry,
    log,
    port: listener.addresses[0]?.port ?? 0,
    async stop() {
      await listener.close();
      await publisher.stop();
    },
  };
}

/** Publisher and cluster listener over a real store, put together as the control plane does. `stop` leaves the store open. */
export async function controlPlaneOver(
  store: Store,
  {
    id = crypto.randomUUID(),
    version = '1.2.0',
    tls = loadClusterTls({ mode: 'shared', ...shared, ca: null, end: 'server' }),
    log = () => undefined,
    onLogLevel = () => undefined,
  }: Partial<Pick<ClusterListenerOptions, 'id' | 'version' | 'tls' | 'log' | 'onLogLevel'>> = {},
) {
  const publisher = await createPublisher({
    feed: store.changes,
    tables: publishedTables(),
    pluginVersion: (name) => plugins.get(name)?.version,
    signingKey,
    releases: store.releases,
    log,
  });
  const listener = await startClusterListener({
    id,
    listen: [{ host: '127.0.0.1', port: 0 }],
    telemetryListen: [{ host: '127.0.0.1', port: 0 }],
    tls,
    revocation: null,
    publisher,
    registry: store.nodes,
    messages: store.messages,
    records: store.records,
    counts: store.counts,
    telemetry: store.telemetry,
    plugins: plugins.keys(),
    version,
    purgeDelay: 1000,
    onLogLevel,
    log,
  });
  return {
    publisher,
    listener,
    port: listener.addresses[0]?.port ?? 0,
    async stop() {
      await listener.close();
      await publisher.stop();
    },
  };
}

/** The manifest in a JWS of these control planes; of any group, for null. */
export function verify(jws: string, group: string | null = 'default', key: SigningKey = signingKey): Promise<Manifest> {
  return verifyManifest(jws, {
    trustedKeys: [key.publicKey],
    cluster: key.cluster,
    group,
    highestSerial: null,
    now: null,
  });
}

export function hello(changes: Partial<Hello['node']> = {}, manifest: string | null = null): Hello {
  return {
    type: 'hello',
    node: {
      id: NODE_ID,
      hostname: 'edge-1',
      version: '1.2.0',
      host: 'workerd',
      group: 'default',
      labels: { region: 'north' },
      plugins: { 'key-auth': '3.9.3', cors: '3.9.3' },
      capabilities: [],
      ...changes,
    },
    manifest,
    nonce: crypto.randomUUID(),
  };
}

/** Reads the orders a data plane gets: only what it may obey comes through. */
export class OrderReader {
  readonly #hello: Hello;
  #counter = 0;

  constructor(hello: Hello) {
    this.#hello = hello;
  }

  async read({ order: jws }: OrderMessage, key = signingKey): Promise<Order> {
    const { counter, order } = await verifyOrder(jws, {
      trustedKeys: [key.publicKey],
      cluster: key.cluster,
      node: this.#hello.node.id,
      nonce: this.#hello.nonce ?? expect.fail('a hello without a nonce gets no signed orders'),
      counter: this.#counter,
      now: Math.floor(Date.now() / 1000),
    });
    this.#counter = counter;
    return parseOrder(order) ?? expect.fail(`an order of no known type: ${JSON.stringify(order)}`);
  }
}

/** What a message is once its signature is looked through. */
type Heard = Exclude<FromControlPlane, OrderMessage>;

/** A data plane's end of the link, reading messages one by one. */
export class TestLink {
  readonly socket: WebSocket;
  readonly #key: SigningKey;
  #orders: OrderReader | null = null;
  /** What the answer to the upgrade held. */
  challenge = '';
  readonly #received: FromControlPlane[] = [];
  readonly #waiting: ((message: FromControlPlane) => void)[] = [];

  private constructor(socket: WebSocket, key: SigningKey) {
    this.socket = socket;
    this.#key = key;
    socket.on('message', (data) => {
      const message: FromControlPlane = JSON.parse(String(data));
      const next = this.#waiting.shift();
      if (next === undefined) this.#received.push(message);
      else next(message);
    });
  }

  /** `key`: what the control plane signs orders with. `tls` may say the address to come from. */
  static async open(
    port: number,
    tls: ClientTls & { readonly localAddress?: string } = sharedClient,
    key: SigningKey = signingKey,
  ): Promise<TestLink> {
    const socket = new WebSocket(`wss://127.0.0.1:${port}/v1/link`, tls);
    const link = new TestLink(socket, key);
    socket.on('upgrade', ({ headers }) => {
      link.challenge = String(headers[CHALLENGE_HEADER]);
    });
    await once(socket, 'open');
    return link;
  }

  say(message: FromDataPlane): void {
    if (message.type === 'hello') this.#orders = message.nonce === undefined ? null : new OrderReader(message);
    this.socket.send(JSON.stringify(message));
  }

  /** The next message, as it came. */
  async hearAny(): Promise<FromControlPlane> {
    const { promise, resolve, reject } = Promise.withResolvers<FromControlPlane>();
    const received = this.#received.shift();
    if (received !== undefined) return received;
    this.#waiting.push(resolve);
    const late = setTimeout(() => reject(new Error(`no message in ${PATIENCE} ms`)), PATIENCE);
    return promise.finally(() => clearTimeout(late));
  }

  /** The next message, which must be of this type; an order must be signed for this data plane. */
  hear<T extends Heard['type']>(type: T): Promise<Extract<Heard, { type: T }>> {
    return this.hearEither(type);
  }

  /** The next message, which must be of one of these types. */
  async hearEither<T extends Heard['type']>(...types: readonly T[]): Promise<Extract<Heard, { type: T }>> {
    const message = await this.hearAny();
    const heard = message.type === 'order' ? await this.#orders?.read(message, this.#key) : message;
    const found = types.find((type) => heard?.type === type);
    if (heard !== undefined && found !== undefined && isOf(heard, found)) return heard;
    throw new Error(`expected ${types.join(' or ')}, heard ${JSON.stringify(heard ?? message).slice(0, 300)}`);
  }

  /** The close code the control plane gave. */
  async closed(): Promise<number> {
    if (this.socket.readyState === WebSocket.CLOSED) return 0;
    const [code] = await once(this.socket, 'close');
    return code;
  }
}

function isOf<T extends Heard['type']>(message: Heard, type: T): message is Extract<Heard, { type: T }> {
  return message.type === type;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One HTTPS request on a connection of its own. */
export function call(
  port: number,
  path: string,
  options: { tls?: ClientTls; method?: string; body?: string | Uint8Array; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: options.method ?? 'GET',
        headers: options.headers ?? {},
        agent: false,
        ...(options.tls ?? sharedClient),
      },
      async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
      },
    );
    sent.on('error', reject);
    sent.end(options.body);
  });
}
