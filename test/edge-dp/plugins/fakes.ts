import { eachLineOf, FieldList, lineLength } from '../../../edge-dp/http/fields.ts';
import type { IncomingBodySource, IncomingRequest } from '../../../edge-dp/http/messages.ts';
import type { ConsumerGroup } from '../../../edge-dp/plugins/runtime/identity.ts';
import type { Place } from '../../../edge-dp/plugins/runtime/plugin.ts';
import { ServiceError, type Services } from '../../../edge-dp/plugins/runtime/services.ts';
import { Caches } from '../../../edge-dp/plugins/services/caches.ts';
import { deliver } from '../../../edge-dp/plugins/services/deliver.ts';
import { memoryCounters } from '../../../edge-dp/plugins/services/memory-counters.ts';
import { MemoryRecords } from '../../../edge-dp/plugins/services/memory-records.ts';
import { NodeMetrics } from '../../../edge-dp/plugins/services/node-metrics.ts';
import { NodeResponses } from '../../../edge-dp/plugins/services/node-responses.ts';
import { Queues } from '../../../edge-dp/plugins/services/queues.ts';
import { ProxyContext } from '../../../edge-dp/proxy/request-context.ts';
import { DEFAULT_LUA, NO_TRACING } from '../../../edge-dp/settings.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import type { ClientAddress } from '../../../shared/client-address.ts';
import { DEFAULT_WORKSPACE } from '../../../shared/workspace.ts';

interface FakeRequest {
  readonly method?: string;
  readonly target?: string;
  /** Several values of a name: a line each. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  readonly ip?: string;
  /** What is known of its sender beside the peer's address. */
  readonly client?: Partial<ClientAddress>;
  /** Lazy rows by table and lookup value. */
  readonly rows?: Readonly<Record<string, Readonly<Record<string, readonly BundleRow[]>>>>;
  readonly groups?: readonly ConsumerGroup[];
}

/** A request as hooks get it: the proxy's own, over no network and no runtime's messages. */
export function fakeRequest(
  { rows = {}, groups = [], ip = '127.0.0.1', client = {}, ...message }: FakeRequest = {},
  waitUntil: (work: Promise<unknown>) => void = () => undefined,
): ProxyContext {
  const arrival = {
    peerIp: ip,
    peerPort: 40_000,
    localIp: null,
    tls: null,
    localPort: 8000,
    scheme: 'http',
    sni: null,
    edge: null,
    waitUntil,
  } as const;
  return new ProxyContext(incoming(message), arrival, {
    lazy: { lookupAll: async (table, value) => new Map(Object.entries(rows[table] ?? {})).get(value) ?? [] },
    serial: null,
    trial: null,
    groups: new Map(groups.map((group) => [group.id, group])),
    workspaceNames: new Map(),
    authorities: new Map(),
    upstreams: { named: () => undefined },
    client: { ip, port: 40_000, peerIp: ip, peerPort: 40_000, trusted: false, ...client },
    port: arrival.localPort,
    clientBodyTimeout: 60_000,
    maxBodySize: 0,
    errorDefaultType: 'text/plain',
  });
}

function incoming({ method = 'GET', target = '/', headers = {}, body }: FakeRequest): IncomingRequest {
  const fields = FieldList.of({ host: 'gateway.test' });
  for (const [name, values] of Object.entries(headers)) {
    fields.delete(name);
    for (const value of [values].flat()) fields.append(name, value);
  }
  const bytes = body === undefined ? null : new TextEncoder().encode(body);
  if (bytes !== null) fields.set('content-length', String(bytes.length));
  return {
    method,
    target,
    headers: fields,
    fieldNames: [...fields.keys()],
    fieldBytes: [...fields.eachLine()].reduce((bytes, [name, value]) => bytes + lineLength(name, value), 0),
    body: bytes === null ? null : bodyOf(bytes),
    version: '1.1',
    clientLeft: false,
    onClientLeft: () => undefined,
    copyOf: (others) => {
      const copy = new FieldList();
      for (const [name, value] of eachLineOf(others)) copy.append(name, value);
      return copy;
    },
  };
}

function bodyOf(bytes: Uint8Array): IncomingBodySource {
  let stream: ReadableStream<Uint8Array> = new Blob([bytes.slice()]).stream();
  return {
    stream: () => stream,
    putBack(rest) {
      stream = rest;
    },
  };
}

/** Services that keep to memory. What goes out is for the test to give. */
export function fakeServices(own: Partial<Services> = {}): Services {
  const log: Services['log'] = own.log ?? (() => undefined);
  const queues = new Queues(log);
  const caches = new Caches();
  const records = new Map<string, MemoryRecords>();
  const none = (what: string) => (): never => {
    throw new ServiceError('unsupported', `no ${what} in this test`);
  };
  return {
    node: { id: '00000000-0000-4000-8000-000000000000', hostname: 'node.test' },
    via: null,
    lua: DEFAULT_LUA,
    tracing: NO_TRACING,
    trusts: (ip) => ip.startsWith('10.'),
    vaults: { secret: async (reference) => ({ value: null, missing: `no ${reference} in this test` }) },
    log,
    fetch: none('fetch'),
    connect: none('connect'),
    datagram: none('datagram'),
    append: none('append'),
    syslog: none('syslog'),
    queue: (name, options, send) => queues.open(name, options, send),
    deliveries: (name, options, describe) =>
      queues.open(name, options, (batch) => deliver(own.fetch ?? none('fetch'), describe(batch))),
    counters: memoryCounters(),
    redisCounters: () => memoryCounters(),
    records: (collection) => {
      const known = records.get(collection) ?? new MemoryRecords();
      records.set(collection, known);
      return known;
    },
    metrics: new NodeMetrics(null, queues, () => null),
    cache: (name, { maxBytes }) => caches.open(name, maxBytes),
    edgeResponses: null,
    responses: new NodeResponses(null, { maxBytes: 8 << 20, near: true, log }),
    ...own,
  };
}

/** A configuration that applies to everything. */
export const EVERYWHERE: Place = {
  id: '00000000-0000-4000-8000-000000000001',
  instanceName: null,
  workspace: DEFAULT_WORKSPACE.id,
  route: null,
  service: null,
  consumer: null,
  consumerGroup: null,
};
