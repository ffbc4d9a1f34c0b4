import type { BundleRow } from '../../shared/bundle/format.ts';
import { Balancers } from '../balancer/balancers.ts';
import type { NameTable } from '../balancer/name-table.ts';
import type { ConfigChanges, RowSecrets, TableChanges } from '../config/changes.ts';
import { ConfigError } from '../config/config-error.ts';
import { PersistentMap } from '../config/persistent-map.ts';
import type { PluginRegistry } from '../plugins/registry.ts';
import type { Authority } from '../plugins/runtime/authorities.ts';
import type { ConsumerGroup } from '../plugins/runtime/identity.ts';
import { PluginPlan } from '../plugins/runtime/plan.ts';
import type { Services } from '../plugins/runtime/services.ts';
import { abandonPlans } from '../plugins/runtime/settle-plans.ts';
import type { RouteRow, RouterFlavor } from '../router/route-row.ts';
import { createRouter, createStreamRouter, type Router } from '../router/router.ts';
import type { ProxySettings } from '../settings.ts';
import {
  type Certificate,
  type Route,
  readCaCertificate,
  readCertificate,
  readConsumerGroup,
  readRoute,
  readService,
  readWorkspaceName,
  type Service,
} from './entities.ts';
import { ServerNames } from './server-names.ts';
import { upstreamTls } from './upstream-tls.ts';

interface Parts {
  readonly services: PersistentMap<Service>;
  readonly routes: PersistentMap<Route>;
  readonly certificates: PersistentMap<Certificate>;
  readonly authorities: PersistentMap<Authority>;
  readonly serverNames: ServerNames;
  readonly consumerGroups: PersistentMap<ConsumerGroup>;
  readonly workspaceNames: PersistentMap<string>;
  readonly router: Router;
  readonly plugins: PluginPlan;
  readonly balancers: Balancers;
  readonly streams: Streams | null;
  readonly upstreamTls: ProxySettings['upstreamTls'] | null;
}

/** What of a config is for connections and datagrams that are no HTTP. */
interface Streams {
  readonly router: Router;
  readonly plugins: PluginPlan;
}

/** One config, compiled. Immutable; `update` shares with its receiver all that did not change. */
export class Gateway {
  readonly services: PersistentMap<Service>;
  readonly routes: PersistentMap<Route>;
  readonly consumerGroups: PersistentMap<ConsumerGroup>;
  readonly workspaceNames: PersistentMap<string>;
  readonly authorities: PersistentMap<Authority>;
  readonly router: Router;
  readonly plugins: PluginPlan;
  readonly balancers: Balancers;
  /** Null on a node without listeners for them. */
  readonly streams: Streams | null;
  readonly #parts: Parts;
  readonly #tls = new WeakMap<Service, Map<string | null, ReturnType<typeof upstreamTls>>>();

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.services = parts.services;
    this.routes = parts.routes;
    this.consumerGroups = parts.consumerGroups;
    this.workspaceNames = parts.workspaceNames;
    this.authorities = parts.authorities;
    this.router = parts.router;
    this.plugins = parts.plugins;
    this.balancers = parts.balancers;
    this.streams = parts.streams;
  }

  static empty(
    flavor: RouterFlavor,
    plugins: { readonly registry: PluginRegistry; readonly services: Services },
    names: NameTable | null,
    { streams = false, upstreamTls }: Pick<ProxySettings, 'streams' | 'upstreamTls'> = {},
  ): Gateway {
    const { registry, services } = plugins;
    return new Gateway({
      services: PersistentMap.empty(),
      routes: PersistentMap.empty(),
      certificates: PersistentMap.empty(),
      authorities: PersistentMap.empty(),
      serverNames: ServerNames.none,
      consumerGroups: PersistentMap.empty(),
      workspaceNames: PersistentMap.empty(),
      router: createRouter(flavor),
      plugins: PluginPlan.empty(registry, services),
      balancers: Balancers.empty(names),
      streams: streams
        ? { router: createStreamRouter(flavor), plugins: PluginPlan.empty(registry, services, 'stream') }
        : null,
      upstreamTls: upstreamTls ?? null,
    });
  }

  /** `fallbackCertificate`: the upstream's, for a service without one. The same object each time. */
  tls(service: Service, fallbackCertificate: string | null): ReturnType<typeof upstreamTls> {
    let ofService = this.#tls.get(service);
    if (ofService === undefined) {
      ofService = new Map();
      this.#tls.set(service, ofService);
    }
    const known = ofService.get(fallbackCertificate);
    if (known !== undefined) return known;
    const { certificates, authorities, upstreamTls: settings } = this.#parts;
    const unsaid = settings?.[service.protocol === 'tls' ? 'stream' : 'http'] ?? null;
    const tls = upstreamTls(service, certificates, authorities, fallbackCertificate, unsaid);
    ofService.set(fallbackCertificate, tls);
    return tls;
  }

  /** What clients that ask for the name are shown; null: what the listener has. */
  serverCertificate(serverName: string): Certificate | null {
    const id = this.#parts.serverNames.certificateOf(serverName);
    return (id === null ? undefined : this.#parts.certificates.get(id)) ?? null;
  }

  /** Throws `ConfigError` naming the row that does not compile; the receiver is as before. */
  update(changes: ConfigChanges): Gateway {
    const parts = this.#parts;
    const services = applied(parts.services, changes.get('services'), readService);
    const routes = applied(parts.routes, changes.get('routes'), readRoute);
    const planned = (plan: PluginPlan): PluginPlan => {
      const [rows, sent] = [changes.get('plugins'), changes.get('custom_plugins')];
      return rows === undefined && sent === undefined ? plan : plan.update(rows, sent);
    };
    const others = {
      services,
      routes,
      certificates: applied(parts.certificates, changes.get('certificates'), readCertificate),
      authorities: applied(parts.authorities, changes.get('ca_certificates'), readCaCertificate),
      serverNames: parts.serverNames.update(changes.get('snis')),
      consumerGroups: applied(parts.consumerGroups, changes.get('consumer_groups'), readConsumerGroup),
      workspaceNames: applied(parts.workspaceNames, changes.get('workspaces'), readWorkspaceName),
      router: rerouted(parts.router, HTTP_PROTOCOLS, parts, { services, routes }, changes),
      balancers: parts.balancers.update(changes),
      upstreamTls: parts.upstreamTls,
    };
    const { streams } = parts;
    const streamRouter = streams && rerouted(streams.router, STREAM_PROTOCOLS, parts, { services, routes }, changes);
    // Last of all: what plugins open is nobody's to close where another part refuses the config.
    const plugins = planned(parts.plugins);
    try {
      const streamParts = streams && streamRouter && { router: streamRouter, plugins: planned(streams.plugins) };
      return new Gateway({ ...others, plugins, streams: streamParts });
    } catch (error) {
      abandonPlans([plugins], [parts.plugins]);
      throw error;
    }
  }
}

function applied<T>(
  map: PersistentMap<T>,
  changes: TableChanges | undefined,
  read: (row: BundleRow, secrets?: RowSecrets) => T,
): PersistentMap<T> {
  let next = map;
  for (const id of changes?.deletes ?? []) next = next.delete(id);
  if (changes === undefined) return next;
  return next.setAll(changes.upserts.map((row) => [row.id, read(row, changes.secrets?.get(row.id))] as const));
}

/** A router of routes with one of `protocols` after a change: changed routes, and those of services that were switched on or off. */
function rerouted(
  router: Router,
  protocols: ReadonlySet<string>,
  old: Parts,
  now: { readonly services: PersistentMap<Service>; readonly routes: PersistentMap<Route> },
  changes: ConfigChanges,
): Router {
  const upserts = new Map<string, RouteRow>();
  const deletes = new Set<string>();
  const place = (id: string): void => {
    const route = now.routes.get(id);
    const service = route?.service == null ? null : now.services.get(route.service);
    if (service === undefined)
      throw new ConfigError(`routes ${id}: its service ${route?.service} is not part of the config`);
    if (route === undefined || service?.enabled === false) {
      if (old.routes.has(id)) deletes.add(id);
    } else if (route.protocols.some((protocol) => protocols.has(protocol))) {
      upserts.set(id, route.matching);
    } else if (old.routes.has(id)) {
      deletes.add(id);
    }
  };
  for (const id of changedIds(changes.get('routes'))) place(id);
  const switched = new Set<string>();
  for (const id of changedIds(changes.get('services'))) {
    const before = old.services.get(id);
    if (before !== undefined && before.enabled !== now.services.get(id)?.enabled) switched.add(id);
  }
  // So seldom that no list of the routes of each service is kept for it.
  if (switched.size > 0) {
    for (const { id, service } of now.routes.values()) if (service !== null && switched.has(service)) place(id);
  }
  if (upserts.size === 0 && deletes.size === 0) return router;
  return router.update({ upserts: [...upserts.values()], deletes: [...deletes] });
}

const HTTP_PROTOCOLS = new Set(['http', 'https', 'grpc', 'grpcs']);
const STREAM_PROTOCOLS = new Set(['tcp', 'tls', 'tls_passthrough', 'udp']);

function changedIds(changes: TableChanges | undefined): Iterable<string> {
  return changes === undefined ? [] : new Set([...changes.deletes, ...changes.upserts.map((row) => row.id)]);
}
