import { compileCidrs } from '../../shared/cidr.ts';
import { compileClientAddress } from '../../shared/client-address.ts';
import { lookupThrough } from '../balancer/egress-lookup.ts';
import { createHealthSync, noHealthSync } from '../balancer/health-sync.ts';
import { NameTable } from '../balancer/name-table.ts';
import { ServiceHosts } from '../balancer/service-hosts.ts';
import type { EdgeCache } from '../http/edge-cache.ts';
import { type PluginRegistry, plugins } from '../plugins/registry.ts';
import type { Vaults } from '../plugins/runtime/services.ts';
import { settlePlans } from '../plugins/runtime/settle-plans.ts';
import { createServices, type Unsent } from '../plugins/services/create.ts';
import type { NodeMetrics } from '../plugins/services/node-metrics.ts';
import { RequestSampler } from '../replay/sampler.ts';
import { DEFAULT_LUA, NO_TRACING, type ProxySettings, responseMemory } from '../settings.ts';
import { openSession } from '../stream/open-session.ts';
import { AccessLog } from './access-log/access-log.ts';
import { beginTls } from './begin-tls.ts';
import { claimant } from './claimant.ts';
import { closedByClient } from './client-connection.ts';
import { chooseEgress, type Egress, type EgressWay, isCarried } from './egress/egress.ts';
import { type Network, networkEgress } from './egress/network.ts';
import type { Outward } from './egress/outward.ts';
import { processEgress } from './egress/process.ts';
import { socketsEgress } from './egress/sockets.ts';
import { SERVER } from './errors.ts';
import { explainRequest } from './explain.ts';
import { foresee } from './foresee.ts';
import { Gateway } from './gateway.ts';
import { handle } from './handle.ts';
import type { RequestPath } from './request-path.ts';
import { compileResponseTokens } from './response-headers.ts';
import type { ProxyRuntime } from './runtime.ts';

/** What the request path takes from the Worker's bindings. */
interface RequestPathDependencies {
  readonly settings: ProxySettings;
  /** `env.NETWORK`. */
  readonly network: Network;
  /** `env.EGRESS`, where the host has one. */
  readonly egress?: Fetcher | undefined;
  /** `env.TUNNEL`, where the host has one. */
  readonly tunnel?: Fetcher | undefined;
  /** `env.OUTWARD`, where the host sends by itself: then the two above are not used for requests of clients. */
  readonly outward?: Outward | undefined;
  /** `env.NODE`: where isolates of a node share what they know of targets. */
  readonly node?: Pick<Fetcher, 'fetch'> | undefined;
  /** Who this is, for plugins. */
  readonly identity?: { readonly id: string; readonly hostname: string };
  /** What references of scripts come to; absent: nothing. */
  readonly vaults?: Vaults;
  /** Whether what isolates share is in the same box; absent: it is. */
  readonly near?: boolean;
  /** Absent: there is none. */
  readonly edgeCache?: EdgeCache;
  /** Milliseconds work may go on after a request; absent: for as long as it takes. */
  readonly patience?: number;
  /** Control planes are told of requests; absent: they are not. */
  readonly telemetry?: boolean;
  /** See `ServiceDependencies`; absent: this is in none. */
  readonly colo?: () => string | null;
  /** The bundled ones when absent. */
  readonly plugins?: PluginRegistry;
}

/**
 * The request path of an empty config, which answers 404 to everything; `update` gives those of real ones. Throws when a
 * setting cannot be compiled (`trusted_ips`).
 */
export function createRequestPath(dependencies: RequestPathDependencies): RequestPath {
  const { settings } = dependencies;
  const { outward } = dependencies;
  const lookup = outward?.lookup ?? (dependencies.egress === undefined ? null : lookupThrough(dependencies.egress));
  const names = lookup === null ? null : new NameTable(lookup, settings.dnsOrder);
  const egress = createEgress(dependencies);
  const tokens = compileResponseTokens(settings);
  const { network, tunnel, identity = UNNAMED } = dependencies;
  const trusted = compileCidrs(settings.trustedIps);
  const { services, unsent, metrics, telemetry } = createServices({
    node: identity,
    network,
    // Plugins' own requests use all that the host can, also where upstreams' do not.
    egress: tunnel === undefined || outward !== undefined ? egress : createEgress({ network, egress: tunnel }),
    tunnel: tunnel ?? null,
    lua: settings.lua ?? DEFAULT_LUA,
    tracing: settings.tracing ?? NO_TRACING,
    trusts: (ip) => trusted.has(ip),
    vaults: dependencies.vaults ?? NO_VAULTS,
    shared: dependencies.node ?? null,
    // Kong says 2 whatever the version, where it answers with what it fetched itself.
    via: tokens.via ? `2 ${SERVER}` : null,
    responseMemory: responseMemory(settings),
    near: dependencies.near ?? true,
    edgeCache: dependencies.edgeCache ?? null,
    patience: dependencies.patience ?? Number.POSITIVE_INFINITY,
    ownTrust: settings.ownTrust ?? false,
    colo: dependencies.colo ?? (() => null),
  });
  const { accessLog } = settings;
  const runtime: ProxyRuntime = {
    flavor: settings.routerFlavor,
    tokens,
    sendRequestId: settings.headersUpstream.some((token) => token.toLowerCase() === 'x-kong-request-id'),
    errorDefaultType: settings.errorDefaultType,
    clientBodyTimeout: settings.clientBodyTimeout,
    maxBodySize: settings.maxBodySize ?? 0,
    egress,
    carries: outward === undefined && dependencies.egress === undefined ? isCarried : () => true,
    closedByClient:
      dependencies.egress === undefined || outward !== undefined ? null : closedByClient(dependencies.egress),
    exchanges: { open: 0 },
    accessLog: accessLog === undefined ? null : new AccessLog(accessLog, services),
    telemetry: dependencies.telemetry === true ? telemetry() : null,
    sampler:
      settings.replaySample === undefined || dependencies.node === undefined
        ? null
        : new RequestSampler(settings.replaySample, dependencies.node),
    health:
      dependencies.node === undefined ? noHealthSync : createHealthSync(dependencies.node, dependencies.near ?? true),
    serviceHosts: names !== null && settings.resolvesServices === true ? new ServiceHosts(names) : null,
    portOf: (listener) => settings.portMaps?.[listener] ?? listener,
    clientAddress: compileClientAddress(settings),
    trial: null,
  };
  const own = { registry: dependencies.plugins ?? plugins, services };
  const gateway = Gateway.empty(runtime.flavor, own, names, settings);
  return requestPath(gateway, runtime, { unsent, metrics });
}

/** For tests of the request path alone. */
const UNNAMED = { id: '', hostname: '' };
const NO_VAULTS: Vaults = { secret: async () => ({ value: null, missing: 'there are no vaults' }) };

/** What plugins' services tell of themselves. */
interface Kept {
  readonly unsent: Unsent;
  readonly metrics: Pick<NodeMetrics, 'shown'>;
}

function requestPath(gateway: Gateway, runtime: ProxyRuntime, kept: Kept): RequestPath {
  const { unsent, metrics } = kept;
  const plans = gateway.streams === null ? [gateway.plugins] : [gateway.plugins, gateway.streams.plugins];
  return {
    get shownMetrics() {
      return metrics.shown;
    },
    balancers: gateway.balancers,
    update(changes) {
      return requestPath(gateway.update(changes), runtime, kept);
    },
    explain(request, caller) {
      return explainRequest(gateway, runtime, request, caller);
    },
    foresee: (request) => foresee(gateway, runtime.flavor, request),
    finish() {
      unsent.hurry();
      return runtime.exchanges.open + unsent.pending;
    },
    serverCertificate: (serverName) => gateway.serverCertificate(serverName),
    beginTls: (arrival) => beginTls(gateway, runtime, arrival),
    plans,
    settle(before = [], beside = [], apart = false) {
      settlePlans(
        before.flatMap((path) => path.plans),
        [plans, ...beside.map((path) => path.plans)].flat(),
        apart || before.length > 1 || beside.length > 0,
      );
      runtime.health.inForce(beside.length === 0 ? [] : [gateway.balancers, ...beside.map((path) => path.balancers)]);
    },
    onTrial: (release) => requestPath(gateway, { ...runtime, trial: release }, kept),
    clientIp: ({ headers }, { peerIp, peerPort, proxied }) =>
      runtime.clientAddress(peerIp, peerPort, headers, proxied).ip,
    claimant: (request, arrival, lazy) => claimant(gateway, runtime, request, arrival, lazy),
    openSession: (arrival, serial) => openSession(gateway, runtime, arrival, serial),
    handle(request, arrival, lazy, serial) {
      return handle(gateway, runtime, request, arrival, lazy, serial);
    },
  };
}

/** Cheapest first: each request takes the first way that can say all of it. */
export function createEgress({
  network,
  egress,
  outward,
}: Pick<RequestPathDependencies, 'network' | 'egress' | 'outward'>): Egress {
  if (outward !== undefined) return outward.egress;
  const ways: EgressWay[] = [networkEgress(network, { alone: egress === undefined })];
  ways.push(egress === undefined ? socketsEgress(network) : processEgress(egress));
  return chooseEgress(ways);
}
