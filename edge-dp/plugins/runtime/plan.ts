import { headFieldFault } from '../../../shared/head-fields.ts';
import { isRecord } from '../../../shared/record.ts';
import { messageOf } from '../../../shared/thrown.ts';
import { DEFAULT_WORKSPACE, workspaceOf } from '../../../shared/workspace.ts';
import type { RowSecrets, TableChanges } from '../../config/changes.ts';
import { ConfigError } from '../../config/config-error.ts';
import { RowReader } from '../../config/row.ts';
import type { PluginRegistry } from '../registry.ts';
import { timed } from '../tracing/plugin-times.ts';
import { byKongOrder, Chain, closeInstance, NO_PLUGINS, type PluginInstance } from './chain.ts';
import { type CompiledRow, Edit, NO_PLACES, type Placed, type PlanTables, type SentPlugins } from './plan-tables.ts';
import type { Hooks, Place, Plugin } from './plugin.ts';
import { Recent } from './recent.ts';
import type { Services } from './services.ts';

/** What a request is known to be about when its plugins are chosen. */
interface Target {
  /** Whose global plugins run. What is bound to a route, service or consumer is of that one's workspace anyway. */
  readonly workspace: string;
  readonly route: string | null;
  readonly service: string | null;
}

/** Who a request comes from, as far as plugins are bound to it. */
interface Caller {
  readonly consumer: string | null;
  /** Consumer groups, in the order of their names: the first that has a configuration decides. */
  readonly groups: readonly string[];
}

const NOBODY: Caller = { consumer: null, groups: [] };

/** How many chains of consumers and groups with plugins of their own are kept. */
const CALLER_CHAINS = 10_000;

/**
 * Which plugins run for whom: of each plugin name the one configuration of the request's workspace that fits the request
 * most closely. Immutable; a change compiles the changed rows only, and chains are put together when a request first needs them.
 */
export class PluginPlan {
  readonly #registry: PluginRegistry;
  readonly #services: Services;
  readonly #protocols: ReadonlySet<string>;
  readonly #tables: PlanTables;
  /** By route, so that no request without a consumer's plugins makes a key. */
  readonly #ofRoutes = new WeakMap<object, Chain>();
  readonly #ofTargets = new Map<string, Chain>();
  readonly #ofCallers = new Recent<Chain>(CALLER_CHAINS);
  readonly #numbers = new WeakMap<Chain, number>();
  #count = 0;
  /** With something to close. */
  readonly #gone: PluginInstance[];
  #rewriting: readonly PluginInstance[] | null = null;
  #beforeTls: readonly PluginInstance[] | null = null;

  private constructor(
    registry: PluginRegistry,
    services: Services,
    protocols: ReadonlySet<string>,
    tables: PlanTables,
    gone: PluginInstance[] = [],
  ) {
    this.#registry = registry;
    this.#services = services;
    this.#protocols = protocols;
    this.#tables = tables;
    this.#gone = gone;
  }

  /** `kind`: what it is a plan for; a row takes part that has one protocol of that kind, as in Kong. */
  static empty(registry: PluginRegistry, services: Services, kind: keyof typeof PROTOCOLS = 'http'): PluginPlan {
    return new PluginPlan(registry, services, PROTOCOLS[kind], NO_PLACES);
  }

  /**
   * Applies changes of plugin rows, and of the plugins that come with the config (`sent`). Throws `ConfigError` naming the plugin that
   * is unknown here or does not load, or whose configuration does not compile.
   */
  update(changes: TableChanges = NO_CHANGES, sent: TableChanges = NO_CHANGES): PluginPlan {
    const edit = new Edit(this.#tables);
    const own = new Set([...changes.deletes, ...changes.upserts.map(({ id }) => id)]);
    const renewed = edit.replaceSent(sent, this.#services.lua).filter(({ row }) => !own.has(row.id));
    const rows = [...changes.upserts.map((row) => ({ row, secrets: changes.secrets?.get(row.id) })), ...renewed];
    for (const id of changes.deletes) edit.remove(id);
    // All old rows go before any new one comes: a place may pass from one row to another in one change.
    for (const { row } of rows) edit.remove(row.id);
    const come: PluginInstance[] = [];
    try {
      for (const row of rows) {
        const placed = this.#place(row, edit.sent);
        if (placed.instance !== null) come.push(placed.instance);
        edit.add(row.row.id, placed);
      }
    } catch (error) {
      // Nobody will ever have those that were compiled before the one that does not.
      for (const instance of come) closeInstance(instance);
      throw error;
    }
    const gone = [...this.#gone, ...edit.gone];
    return new PluginPlan(this.#registry, this.#services, this.#protocols, edit.tables, gone);
  }

  /** The instances with something to close that went on the way to this plan from the last one that was in force; once. */
  takeGone(): readonly PluginInstance[] {
    return this.#gone.splice(0);
  }

  /** The instances of this plan that have something to close. */
  *closable(): Iterable<PluginInstance> {
    for (const [, { instance }] of this.#tables.byId.entries()) {
      if (instance?.hooks.close !== undefined) yield instance;
    }
  }

  /** What runs before there is a route. */
  get rewriting(): readonly PluginInstance[] {
    this.#rewriting ??= this.chain(GLOBAL).instances.filter(({ hooks }) => hooks.rewrite !== undefined);
    return this.#rewriting;
  }

  /** What runs before a client's TLS is answered. */
  get beforeTls(): readonly PluginInstance[] {
    this.#beforeTls ??= this.chain(GLOBAL).instances.filter(({ hooks }) => hooks.certificate !== undefined);
    return this.#beforeTls;
  }

  /** Whether what a request runs can depend on who sends it. */
  get knowsCallers(): boolean {
    return this.#tables.consumers.size > 0 || this.#tables.groups.size > 0;
  }

  /** Whether plugins are bound to consumer groups at all. */
  get knowsGroups(): boolean {
    return this.#tables.groups.size > 0;
  }

  /** What a request to the route runs as long as nobody is known to have sent it; null: it matched none. */
  ofRoute(route: { readonly id: string; readonly service: string | null; readonly workspace: string } | null): Chain {
    if (this.#tables.names.size === 0) return NO_PLUGINS;
    if (route === null) return this.chain(GLOBAL);
    const known = this.#ofRoutes.get(route);
    if (known !== undefined) return known;
    const chain = this.chain({ workspace: route.workspace, route: route.id, service: route.service });
    this.#ofRoutes.set(route, chain);
    return chain;
  }

  /** The same once somebody is known. */
  chain(target: Target, caller: Caller = NOBODY): Chain {
    const key = `${target.workspace}|${target.route}|${target.service}`;
    let own = this.#ofTargets.get(key);
    if (own === undefined) {
      own = this.#choose(target, NOBODY);
      this.#ofTargets.set(key, own);
    }
    const { consumers, groups } = this.#tables;
    const consumer = caller.consumer !== null && consumers.has(caller.consumer) ? caller.consumer : null;
    const bound = groups.size === 0 ? NOBODY.groups : caller.groups.filter((group) => groups.has(group));
    if (consumer === null && bound.length === 0) return own;
    const callerKey = `${this.#numberOf(own)}|${consumer}|${bound.join()}`;
    let chain = this.#ofCallers.get(callerKey);
    if (chain === undefined) {
      chain = this.#choose(target, { consumer, groups: bound });
      this.#ofCallers.keep(callerKey, chain);
    }
    return chain;
  }

  #numberOf(chain: Chain): number {
    let number = this.#numbers.get(chain);
    if (number === undefined) {
      number = this.#count++;
      this.#numbers.set(chain, number);
    }
    return number;
  }

  #choose(target: Target, caller: Caller): Chain {
    const chosen = [...this.#tables.names.keys()].flatMap((name) => this.#select(name, target, caller) ?? []);
    return chosen.length === 0 ? NO_PLUGINS : new Chain(chosen.sort((a, b) => byKongOrder(a.plugin, b.plugin)));
  }

  /** Kong's precedence: the most specific combination wins, nothing is merged. */
  #select(name: string, { workspace, route, service }: Target, { consumer, groups }: Caller): PluginInstance | null {
    const at = (r: string | null, s: string | null): PluginInstance | null =>
      this.#tables.byPlace.get(placeKey(workspace, name, r, s, null, null)) ?? null;
    const ofConsumer = (r: string | null, s: string | null): PluginInstance | null =>
      consumer === null ? null : (this.#tables.byPlace.get(placeKey(workspace, name, r, s, consumer, null)) ?? null);
    const ofGroup = (r: string | null, s: string | null): PluginInstance | null => {
      for (const group of groups) {
        const found = this.#tables.byPlace.get(placeKey(workspace, name, r, s, null, group));
        if (found !== undefined) return found;
      }
      return null;
    };
    return (
      ofConsumer(route, service) ??
      ofGroup(route, service) ??
      ofConsumer(route, null) ??
      ofConsumer(null, service) ??
      ofGroup(route, null) ??
      ofGroup(null, service) ??
      at(route, service) ??
      ofConsumer(null, null) ??
      ofGroup(null, null) ??
      at(route, null) ??
      at(null, service) ??
      at(null, null)
    );
  }

  #place({ row, secrets }: CompiledRow, sent: SentPlugins): Placed {
    const read = new RowReader('plugins', row);
    const name = read.string('name');
    const place: Place = {
      id: row.id,
      instanceName: read.optionalString('instance_name'),
      workspace: workspaceOf(row),
      service: read.reference('service'),
      route: read.reference('route'),
      consumer: read.reference('consumer'),
      consumerGroup: read.reference('consumer_group'),
    };
    const plugin = this.#registry.get(name) ?? sent.get(name)?.plugin;
    if (plugin === undefined) throw new ConfigError(`plugins ${row.id}: this data plane has no plugin '${name}'`);
    // Versions of one plugin take each other's place.
    const key = placeKey(place.workspace, plugin.name, place.route, place.service, place.consumer, place.consumerGroup);
    const kept = sent.has(name) ? { row, secrets } : null;
    const protocols = read.strings('protocols');
    const all = protocols.length === 0 && this.#protocols === PROTOCOLS.http;
    const concerned = all || protocols.some((protocol) => this.#protocols.has(protocol));
    if (!concerned || !read.boolean('enabled', true)) return { key, row: kept, instance: null };
    const config = read.raw('config');
    if (!isRecord(config)) throw read.refuse('config', 'a record', config);
    const unsendable = headFieldFault(name, config);
    if (secrets !== undefined) {
      const fault = unsendable === undefined ? null : `config.${unsendable.path} cannot stand in a header`;
      const hooks = this.#withSecrets(plugin, config, place, secrets, fault);
      return { key, row: kept, instance: { plugin, place, config, hooks } };
    }
    if (unsendable !== undefined) throw read.error(`'${name}': config.${unsendable.path}: ${unsendable.problem}`);
    try {
      return { key, row: kept, instance: { plugin, place, config, hooks: this.#compiled(plugin, config, place) } };
    } catch (error) {
      throw new ConfigError(`plugins ${row.id}: '${name}' does not compile: ${messageOf(error)}`);
    }
  }

  #compiled(plugin: Plugin, config: unknown, place: Place): Hooks {
    const hooks = plugin.compile(config, place, this.#services);
    const { instrumentations } = this.#services.tracing;
    return instrumentations.length === 0 ? hooks : timed(plugin.name, hooks, new Set(instrumentations));
  }

  /** Secrets are the node's own: what is wrong with them is no reason to refuse the config, and is told without their text. */
  #withSecrets(
    plugin: Plugin,
    config: unknown,
    place: Place,
    { references, missing }: RowSecrets,
    fault: string | null,
  ): Hooks {
    if (missing !== null) return failing(plugin, missing);
    const values = `with the value of ${references.join(', ')}`;
    let problem = fault;
    try {
      if (problem === null) return this.#compiled(plugin, config, place);
    } catch {
      problem = 'the configuration does not compile';
    }
    console.error(`plugins ${place.id}: '${plugin.name}': ${problem}, ${values}`);
    return failing(plugin, `${problem}, ${values}`);
  }
}

/** Of a configuration that lacks what it needs: nothing gets past it, unless the plugin only watches. */
function failing({ watches }: Plugin, reason: string): Hooks {
  const fail = (): never => {
    throw new Error(reason);
  };
  return watches === true ? { log: fail, logStream: fail } : { access: fail, preread: fail };
}

/** A request that matched no route. */
const GLOBAL: Target = { workspace: DEFAULT_WORKSPACE.id, route: null, service: null };

const NO_CHANGES: TableChanges = { upserts: [], deletes: [] };

const PROTOCOLS = {
  http: new Set(['http', 'https', 'grpc', 'grpcs']),
  stream: new Set(['tcp', 'tls', 'tls_passthrough', 'udp']),
} as const;

function placeKey(
  workspace: string,
  name: string,
  route: string | null,
  service: string | null,
  consumer: string | null,
  group: string | null,
): string {
  return `${workspace}|${name}|${route ?? ''}|${service ?? ''}|${consumer ?? ''}|${group ?? ''}`;
}
