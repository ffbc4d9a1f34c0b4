import type { BundleRow } from '../../../shared/bundle/format.ts';
import { headFieldFault } from '../../../shared/head-fields.ts';
import { isRecord } from '../../../shared/record.ts';
import { messageOf } from '../../../shared/thrown.ts';
import { DEFAULT_WORKSPACE, workspaceOf } from '../../../shared/workspace.ts';
import type { RowSecrets, TableChanges } from '../../config/changes.ts';
import { ConfigError } from '../../config/config-error.ts';
import { PersistentMap } from '../../config/persistent-map.ts';
import { RowReader } from '../../config/row.ts';
import type { PluginRegistry } from '../registry.ts';
import { byKongOrder, Chain, NO_PLUGINS, type PluginInstance } from './chain.ts';
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
  readonly #tables: Tables;
  readonly #order: readonly Plugin[];
  /** By route, so that no request without a consumer's plugins makes a key. */
  readonly #ofRoutes = new WeakMap<object, Chain>();
  readonly #ofTargets = new Map<string, Chain>();
  readonly #ofCallers = new Recent<Chain>(CALLER_CHAINS);
  readonly #numbers = new WeakMap<Chain, number>();
  #count = 0;
  /** With something to close. */
  readonly #gone: PluginInstance[];
  #rewriting: readonly PluginInstance[] | null = null;

  private constructor(registry: PluginRegistry, services: Services, tables: Tables, gone: PluginInstance[] = []) {
    this.#registry = registry;
    this.#services = services;
    this.#tables = tables;
    this.#gone = gone;
    this.#order = [...tables.names.keys()].flatMap((name) => registry.get(name) ?? []).sort(byKongOrder);
  }

  static empty(registry: PluginRegistry, services: Services): PluginPlan {
    return new PluginPlan(registry, services, {
      byId: PersistentMap.empty(),
      byPlace: PersistentMap.empty(),
      names: new Map(),
      consumers: PersistentMap.empty(),
      groups: PersistentMap.empty(),
    });
  }

  /** Throws `ConfigError` naming the plugin that is unknown here or whose configuration does not compile. */
  update(changes: TableChanges): PluginPlan {
    const edit = new Edit(this.#tables);
    for (const id of changes.deletes) edit.remove(id);
    // All old rows go before any new one comes: a place may pass from one row to another in one change.
    for (const row of changes.upserts) edit.remove(row.id);
    for (const row of changes.upserts) edit.add(row.id, this.#place(row, changes.secrets?.get(row.id)));
    return new PluginPlan(this.#registry, this.#services, edit.tables, [...this.#gone, ...edit.gone]);
  }

  /** This plan is in force now: closes the instances that went on the way to it from the last one that was. */
  settle(): void {
    for (const { plugin, place, hooks } of this.#gone.splice(0)) {
      try {
        hooks.close?.();
      } catch (error) {
        console.error(`plugin ${plugin.name} (${place.id}) failed in close: ${messageOf(error)}`);
      }
    }
  }

  /** What runs before there is a route. */
  get rewriting(): readonly PluginInstance[] {
    this.#rewriting ??= this.chain(GLOBAL).instances.filter(({ hooks }) => hooks.rewrite !== undefined);
    return this.#rewriting;
  }

  /** Whether plugins are bound to consumer groups at all. */
  get knowsGroups(): boolean {
    return this.#tables.groups.size > 0;
  }

  /** What a request to the route runs as long as nobody is known to have sent it; null: it matched none. */
  ofRoute(route: { readonly id: string; readonly service: string | null; readonly workspace: string } | null): Chain {
    if (this.#order.length === 0) return NO_PLUGINS;
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
    const instances = this.#order.flatMap((plugin) => this.#select(plugin.name, target, caller) ?? []);
    return instances.length === 0 ? NO_PLUGINS : new Chain(instances);
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

  #place(row: BundleRow, secrets: RowSecrets | undefined): Placed {
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
    const key = placeKey(place.workspace, name, place.route, place.service, place.consumer, place.consumerGroup);
    const protocols = read.strings('protocols');
    const http = protocols.length === 0 || protocols.some((protocol) => HTTP_PROTOCOLS.has(protocol));
    const plugin = this.#registry.get(name);
    if (plugin === undefined) throw new ConfigError(`plugins ${row.id}: this data plane has no plugin '${name}'`);
    if (!http || !read.boolean('enabled', true)) return { key, instance: null };
    const config = read.raw('config');
    if (!isRecord(config)) throw read.refuse('config', 'a record', config);
    const unsendable = headFieldFault(name, config);
    if (secrets !== undefined) {
      const fault = unsendable === undefined ? null : `config.${unsendable.path} cannot stand in a header`;
      const hooks = this.#withSecrets(plugin, config, place, secrets, fault);
      return { key, instance: { plugin, place, config, hooks } };
    }
    if (unsendable !== undefined) throw read.error(`'${name}': config.${unsendable.path}: ${unsendable.problem}`);
    try {
      return { key, instance: { plugin, place, config, hooks: plugin.compile(config, place, this.#services) } };
    } catch (error) {
      throw new ConfigError(`plugins ${row.id}: '${name}' does not compile: ${messageOf(error)}`);
    }
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
      if (problem === null) return plugin.compile(config, place, this.#services);
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
  return watches === true ? { log: fail } : { access: fail };
}

/** A request that matched no route. */
const GLOBAL: Target = { workspace: DEFAULT_WORKSPACE.id, route: null, service: null };

const HTTP_PROTOCOLS = new Set(['http', 'https', 'grpc', 'grpcs']);

interface Placed {
  readonly key: string;
  /** Null: disabled, or for other protocols. */
  readonly instance: PluginInstance | null;
}

interface Tables {
  readonly byId: PersistentMap<Placed>;
  readonly byPlace: PersistentMap<PluginInstance>;
  /** Configured names, each with its number of rows. */
  readonly names: ReadonlyMap<string, number>;
  /** Number of rows bound to each consumer and group: only these need chains of their own. */
  readonly consumers: PersistentMap<number>;
  readonly groups: PersistentMap<number>;
}

/** The tables while rows go and come. */
class Edit {
  #byId: Tables['byId'];
  #byPlace: Tables['byPlace'];
  #consumers: Tables['consumers'];
  #groups: Tables['groups'];
  readonly #names: Map<string, number>;
  readonly gone: PluginInstance[] = [];

  constructor({ byId, byPlace, names, consumers, groups }: Tables) {
    this.#byId = byId;
    this.#byPlace = byPlace;
    this.#names = new Map(names);
    this.#consumers = consumers;
    this.#groups = groups;
  }

  get tables(): Tables {
    return {
      byId: this.#byId,
      byPlace: this.#byPlace,
      names: this.#names,
      consumers: this.#consumers,
      groups: this.#groups,
    };
  }

  remove(id: string): void {
    const old = this.#byId.get(id);
    if (old === undefined) return;
    this.#byId = this.#byId.delete(id);
    if (old.instance === null) return;
    if (this.#byPlace.get(old.key) === old.instance) this.#byPlace = this.#byPlace.delete(old.key);
    this.#count(old.instance, -1);
    if (old.instance.hooks.close !== undefined) this.gone.push(old.instance);
  }

  add(id: string, placed: Placed): void {
    this.#byId = this.#byId.set(id, placed);
    if (placed.instance === null) return;
    this.#byPlace = this.#byPlace.set(placed.key, placed.instance);
    this.#count(placed.instance, 1);
  }

  #count({ plugin, place }: PluginInstance, by: 1 | -1): void {
    const named = (this.#names.get(plugin.name) ?? 0) + by;
    if (named <= 0) this.#names.delete(plugin.name);
    else this.#names.set(plugin.name, named);
    this.#consumers = counted(this.#consumers, place.consumer, by);
    this.#groups = counted(this.#groups, place.consumerGroup, by);
  }
}

function counted(counts: PersistentMap<number>, key: string | null, by: 1 | -1): PersistentMap<number> {
  if (key === null) return counts;
  const next = (counts.get(key) ?? 0) + by;
  return next <= 0 ? counts.delete(key) : counts.set(key, next);
}

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
