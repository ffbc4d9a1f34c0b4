import type { compileClientAddress } from '../../shared/client-address.ts';
import type { HealthSync } from '../balancer/health-sync.ts';
import type { ServiceHosts } from '../balancer/service-hosts.ts';
import type { RequestSampler } from '../replay/sampler.ts';
import type { RouterFlavor } from '../router/route-row.ts';
import type { TelemetryRecorder } from '../telemetry/recorder.ts';
import type { AccessLog } from './access-log/access-log.ts';
import type { ClosedByClient } from './client-connection.ts';
import type { Egress, UpstreamRequest } from './egress/egress.ts';
import type { ResponseTokens } from './response-headers.ts';

/** What stays the same from config to config: the node's settings, compiled, and its way out. */
export interface ProxyRuntime {
  readonly flavor: RouterFlavor;
  readonly tokens: ResponseTokens;
  /** X-Kong-Request-Id goes to upstreams (`headers_upstream`). */
  readonly sendRequestId: boolean;
  readonly errorDefaultType: string;
  /** Milliseconds to wait for each part of a client's body. */
  readonly clientBodyTimeout: number;
  /** Bytes of a client's body; 0: as many as come. */
  readonly maxBodySize: number;
  readonly egress: Egress;
  /** Whether a body can be sent with that method at all. */
  readonly carries: (request: Pick<UpstreamRequest, 'method' | 'body'>) => boolean;
  /** Null where the host has no means to tell, or tells by itself (`IncomingRequest.onClientLeft`). */
  readonly closedByClient: ClosedByClient | null;
  /** Requests under way that will be logged. */
  readonly exchanges: { open: number };
  /** Null: `proxy_access_log` is off. */
  readonly accessLog: AccessLog | null;
  /** Null: no control plane is told of requests. */
  readonly telemetry: TelemetryRecorder | null;
  /** Null: the node remembers no requests. */
  readonly sampler: RequestSampler | null;
  /** Shares what requests learned of targets with the node's other isolates. */
  readonly health: HealthSync;
  /** Null where the runtime resolves the names of services. */
  readonly serviceHosts: ServiceHosts | null;
  /** The port that clients reach a listener by. */
  readonly portOf: (listener: number) => number;
  readonly clientAddress: ReturnType<typeof compileClientAddress>;
  /** The release whose config is tried on a part of the requests, those that come here; null: they are all, or the others. */
  readonly trial: string | null;
}
