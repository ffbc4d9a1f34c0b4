import { TELEMETRY } from '../../durable/state-messages.ts';
import type { EdgeCache } from '../../http/edge-cache.ts';
import { NOTICE, outputMark } from '../../notice.ts';
import type { Egress } from '../../proxy/egress/egress.ts';
import type { Network } from '../../proxy/egress/network.ts';
import type { LuaSettings, TracingSettings } from '../../settings.ts';
import { TelemetryRecorder } from '../../telemetry/recorder.ts';
import { type LogLevel, type Records, ServiceError, type Services, type Vaults } from '../runtime/services.ts';
import { Caches } from './caches.ts';
import { connectService } from './connect.ts';
import { deliver } from './deliver.ts';
import { droppedLabels, QUEUE_DROPPED } from './dropped-entries.ts';
import { EdgeResponses } from './edge-responses.ts';
import { fetchService } from './fetch.ts';
import { hostServices, type Tunnel } from './host-services.ts';
import { memoryCounters } from './memory-counters.ts';
import { MemoryRecords } from './memory-records.ts';
import { nodeCounters, redisCounters } from './node-counters.ts';
import { METRICS_QUEUE, NodeMetrics } from './node-metrics.ts';
import { NodeRecords, ofTheCluster, ofTheNode } from './node-records.ts';
import { NodeResponses } from './node-responses.ts';
import { askNode } from './node-state.ts';
import { keepInOutbox } from './outbox.ts';
import { Queues } from './queues.ts';

/** What services are made of on a Worker. */
export interface ServiceDependencies {
  readonly node: { readonly id: string; readonly hostname: string };
  readonly network: Pick<Network, 'connect'>;
  readonly egress: Egress;
  /** `env.TUNNEL`; null: there is no egress process. */
  readonly tunnel: Tunnel | null;
  readonly lua: LuaSettings;
  readonly tracing: TracingSettings;
  readonly trusts: Services['trusts'];
  readonly vaults: Vaults;
  /** `env.NODE`; null: this isolate is all there is. */
  readonly shared: Pick<Fetcher, 'fetch'> | null;
  /** See `Services`. */
  readonly via: string | null;
  /** Bytes for copies of answers. */
  readonly responseMemory: number;
  /** Whether the node's shared memory is near: in the same box. */
  readonly near: boolean;
  /** Null: there is none. */
  readonly edgeCache: EdgeCache | null;
  /** Milliseconds work may go on after a request. */
  readonly patience: number;
  /** The data center this isolate is in, where what isolates count is added up first; null: there is none, or nobody has said yet. */
  readonly colo: () => string | null;
  /** The host was given CAs to verify by (`lua_ssl_trusted_certificate`). */
  readonly ownTrust: boolean;
}

/** What of plugins' work outlives the requests it came from. */
export type Unsent = Pick<Queues, 'hurry' | 'pending'>;

/** The services of a Worker, one set for each isolate. */
export function createServices({
  node,
  network,
  egress,
  tunnel,
  lua,
  tracing,
  trusts,
  vaults,
  shared,
  ...others
}: ServiceDependencies): {
  readonly services: Services;
  readonly unsent: Unsent;
  readonly metrics: NodeMetrics;
  /** Makes what counts requests for control planes: once at most. */
  readonly telemetry: () => TelemetryRecorder;
} {
  const queues: Queues = new Queues(log, {
    patience: others.patience,
    // Of counts on their way to who keeps them nothing can be counted, and nothing is lost: the entries only say that there are some.
    dropped(queue, reason, entries, on) {
      if (queue !== METRICS_QUEUE && queue !== TELEMETRY)
        metrics.count(QUEUE_DROPPED, droppedLabels(queue, reason), entries, on);
    },
  });
  const caches = new Caches();
  const records = new Map<string, Records>();
  const ask = shared === null ? null : askNode(shared);
  const host = tunnel === null ? withoutHost(network) : hostServices(tunnel);
  const metrics: NodeMetrics = new NodeMetrics(ask, queues, others.colo);
  const fetch = fetchService(egress, others.ownTrust);
  const outbox = ask === null || others.patience === Number.POSITIVE_INFINITY ? null : keepInOutbox(ask);
  const responses = new NodeResponses(shared, { maxBytes: others.responseMemory, near: others.near, log });
  const services: Services = {
    node,
    via: others.via,
    lua,
    tracing,
    trusts,
    vaults,
    log,
    fetch,
    ...host,
    async append(file, text) {
      const output = outputMark(file.path);
      if (output === null) return host.append(file, text);
      // A host passes each line on as it is; elsewhere `console` is where they are looked for.
      const mark = tunnel === null ? '' : output;
      for (const line of text.replace(/\n$/, '').split('\n')) console.log(`${mark}${line}`);
    },
    queue: (name, options, send) => queues.open(name, options, send),
    deliveries: (name, options, describe) =>
      queues.open(
        name,
        options,
        (batch) => deliver(fetch, describe(batch)),
        outbox &&
          ((batch, since) => outbox({ name, options, since, entries: batch.length, delivery: describe(batch) })),
      ),
    metrics,
    cache: (name, { maxBytes }) => caches.open(name, maxBytes),
    responses,
    edgeResponses: others.edgeCache === null ? null : new EdgeResponses(others.edgeCache, responses, log),
    counters: ask === null ? memoryCounters() : nodeCounters(ask),
    redisCounters(server, syncRate) {
      if (ask === null)
        throw new ServiceError('unsupported', 'this data plane has nobody to keep a connection to Redis');
      return redisCounters(ask, server, syncRate);
    },
    records: (collection, scope) => {
      const name = `${scope} ${collection}`;
      const keeper = scope === 'cluster' ? ofTheCluster : ofTheNode;
      const known =
        records.get(name) ?? (ask === null ? new MemoryRecords() : new NodeRecords(keeper(ask, collection)));
      records.set(name, known);
      return known;
    },
  };
  return { services, unsent: queues, metrics, telemetry: () => new TelemetryRecorder(ask, queues, others.colo) };
}

/** What a runtime can do without a process of the host beside it. */
function withoutHost(network: ServiceDependencies['network']): ReturnType<typeof hostServices> {
  return {
    connect: connectService(network),
    datagram: () => unsupported('UDP'),
    append: ({ path }) => unsupported(`a file (${path})`),
    syslog: () => unsupported('syslog'),
  };
}

async function unsupported(what: string): Promise<never> {
  throw new ServiceError('unsupported', `this data plane has no ${what}`);
}

const WRITERS: Readonly<Record<LogLevel, (message: string) => void>> = {
  debug: (message) => console.debug(message),
  info: (message) => console.info(message),
  notice: (message) => console.info(NOTICE + message),
  warn: (message) => console.warn(message),
  error: (message) => console.error(message),
  crit: (message) => console.error(message),
};

function log(level: LogLevel, message: string): void {
  WRITERS[level](message);
}
