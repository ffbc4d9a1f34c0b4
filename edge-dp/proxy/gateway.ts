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
    const changed = readAll(changes.get('routes'), readRoute);
    const routes = withoutAll(parts.routes, changes.get('routes')?.deletes).setAll(changed);
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
      router: rerouted(parts.router, HTTP_PROTOCOLS, parts, { services, routes, changed }, changes),
      balancers: parts.balancers.update(changes),
      upstreamTls: parts.upstreamTls,
    };
    const { streams } = parts;
    const streamRouter =
      streams && rerouted(streams.router, STREAM_PROTOCOLS, parts, { services, routes, changed }, changes);
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
  return changes === undefined ? map : withoutAll(map, changes.deletes).setAll(readAll(changes, read));
}

/** What is there now of the rows that are new or other, by id. */
function readAll<T>(
  changes: TableChanges | undefined,
  read: (row: BundleRow, secrets?: RowSecrets) => T,
): ReadonlyMap<string, T> {
  const entries = new Map<string, T>();
  for (const row of changes?.upserts ?? []) entries.set(row.id, read(row, changes?.secrets?.get(row.id)));
  return entries;
}

function withoutAll<T>(map: PersistentMap<T>, ids: readonly string[] = []): PersistentMap<T> {
  let next = map;
  for (const id of ids) next = next.delete(id);
  return next;
}

/** A router of routes with one of `protocols` after a change: changed routes, and those of services that were switched on or off. */
function rerouted(
  router: Router,
  protocols: ReadonlySet<string>,
  old: Parts,
  now: {
    readonly services: PersistentMap<Service>;
    readonly routes: PersistentMap<Route>;
    /** Routes that are new or other, by id. */
    readonly changed: ReadonlyMap<string, Route>;
  },
  changes: ConfigChanges,
): Router {
  const upserts = new Map<string, RouteRow>();
  const deletes = new Set<string>();
  const remove = (id: string): void => {
    if (old.routes.has(id)) deletes.add(id);
  };
  const serviceOf = servicesOf(now.services);
  const place = (route: Route): void => {
    const { id } = route;
    if (serviceOf(route)?.enabled === false) remove(id);
    else if (route.protocols.some((protocol) => protocols.has(protocol))) upserts.set(id, route.matching);
    else remove(id);
  };
  for (const id of changes.get('routes')?.deletes ?? []) remove(id);
  now.changed.forEach(place);
  const switched = new Set<string>();
  const { upserts: others, deletes: gone } = changes.get('services') ?? NOTHING;
  for (const id of [...gone, ...others.map((row) => row.id)]) {
    const before = old.services.get(id);
    if (before !== undefined && before.enabled !== now.services.get(id)?.enabled) switched.add(id);
  }
  // So seldom that no list of the routes of each service is kept for it.
  if (switched.size > 0) {
    for (const route of now.routes.values()) if (route.service !== null && switched.has(route.service)) place(route);
  }
  if (upserts.size === 0 && deletes.size === 0) return router;
  return router.update({ upserts: [...upserts.values()], deletes: [...deletes] });
}

const NOTHING: TableChanges = { upserts: [], deletes: [] };
const HTTP_PROTOCOLS = new Set(['http', 'https', 'grpc', 'grpcs']);
const STREAM_PROTOCOLS = new Set(['tcp', 'tls', 'tls_passthrough', 'udp']);

/** The service of a route, null where it has none. Routes of one service stand side by side, mostly: it is looked up once. */
function servicesOf(services: PersistentMap<Service>): (route: Route) => Service | null {
  let last: Service | null = null;
  return ({ id, service }) => {
    if (service === null) return null;
    if (service === last?.id) return last;
    last = services.get(service) ?? null;
    if (last !== null) return last;
    throw new ConfigError(`routes ${id}: its service ${service} is not part of the config`);
  };
}
