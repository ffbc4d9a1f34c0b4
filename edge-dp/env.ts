import type { NodeOwner } from './config/node.ts';
import type { Outward } from './proxy/egress/outward.ts';
import type { WorkerSettings } from './settings.ts';

/** The Worker's bindings. Every host provides the same ones; what a host cannot provide is absent and not advertised. */
export interface Env {
  readonly SETTINGS: WorkerSettings;
  /** The bundle cache: `manifest`, `objects/<sha256>`. */
  readonly KV: KVNamespace;
  /** The Durable Object that owns the link. Only where it lives: the first process of a box, or Cloudflare. */
  readonly LINK?: DurableObjectNamespace;
  /** The Durable Object that knows how targets are; lives beside `LINK`. */
  readonly HEALTH?: DurableObjectNamespace;
  /** The Durable Objects that keep what plugins share across isolates; live beside `LINK`. */
  readonly STATE?: DurableObjectNamespace;
  /** The node's one owner of the link, reached from every isolate of the node (entrypoint `NodeService`). */
  readonly NODE: Fetcher;
  /** That owner itself, on a host that can tell it in the process it lives in. */
  readonly OWNER?: () => Promise<NodeOwner>;
  /** A secret: the bearer token of the Status API, where `SETTINGS.status.path` says that it has one. */
  readonly STATUS_TOKEN?: string;
  /** Control planes in order of preference, each over mutual TLS: `CONTROL_PLANE`, `CONTROL_PLANE_2`, … */
  readonly CONTROL_PLANE?: Fetcher;
  readonly [another: `CONTROL_PLANE_${number}`]: Fetcher | undefined;
  /** Where telemetry goes, in order of preference, over mutual TLS: `TELEMETRY`, `TELEMETRY_2`, … */
  readonly TELEMETRY?: Fetcher;
  readonly [anotherEndpoint: `TELEMETRY_${number}`]: Fetcher | undefined;
  /** Upstreams by URL, on own hosts, where the global fetch halves throughput. Absent on Cloudflare. */
  readonly NETWORK?: Fetcher;
  /** The host's egress process, for what `NETWORK` cannot say (Host, private CA, client certificate, HTTP/2). */
  readonly EGRESS?: Fetcher;
  /** The same process (Miniflare: the host itself) for plugins' own connections, UDP, files and syslog. Absent on Cloudflare. */
  readonly TUNNEL?: Fetcher;
  /** In place of both, on a host that sends by itself. */
  readonly OUTWARD?: Outward;
  /** The parsed `declarative_config`, packed like a bundle, where one is given: `GET /manifest`, `GET /objects/<sha256>`. */
  readonly DECLARATIVE?: Fetcher;
  /** What the host brings for a node that has never had config, once it has: `GET /bundle.json`, `GET /objects/<sha256>`. */
  readonly FALLBACK?: Fetcher;
}
