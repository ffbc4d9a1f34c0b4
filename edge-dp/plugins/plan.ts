import type { BundleRow } from '../../shared/bundle/format.ts';
import { isRecord } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { workspaceOf } from '../../shared/workspace.ts';
import type { TableChanges } from '../config/changes.ts';
import { ConfigError } from '../config/config-error.ts';
import { PersistentMap } from '../config/persistent-map.ts';
import { RowReader } from '../config/row.ts';
import type { CompiledPlugin, Plugin, PluginScope } from './plugin.ts';
import type { PluginRegistry } from './registry.ts';

/** One plugin row, compiled. */
export interface PluginInstance {
  readonly plugin: Plugin;
  readonly scope: PluginScope;
  readonly config: unknown;
  readonly compiled: CompiledPlugin;
}

/** The instances a request runs, in Kong's order. */
type PluginChain = readonly PluginInstance[];

/** What a request is known to be about when its plugins are chosen. */
interface PluginTarget {
  /** Whose global plugins run. What is bound to a route, service or consumer is of that one's workspace anyway. */
  readonly workspace: string;
  readonly route: string | null;
  readonly service: string | null;
  readonly consumer: string | null;
}

/** How many consumer-specific chains are kept; beyond that they are made anew. */
const MAX_CONSUMER_CHAINS = 10_000;

/**
 * Which plugins run for whom: of each plugin name the one configuration of the request's workspace that fits the request
 * most closely. Immutable; a change compiles the changed rows only, and chains are put together when a request first needs them.
 */
export class PluginPlan {
  readonly #registry: PluginRegistry;
  readonly #byId: PersistentMap<Placed>;
  readonly #byScope: PersistentMap<PluginInstance>;
  /** Configured names in Kong's order, each with its number of rows. */
  readonly #names: ReadonlyMap<string, number>;
  readonly #order: readonly Plugin[];
  /** Number of rows bound to each consumer: only these consumers need chains of their own. */
  readonly #consumers: PersistentMap<number>;
  readonly #chains = new Map<string, PluginChain>();
  readonly #consumerChains = new Map<string, PluginChain>();

  private constructor(registry: PluginRegistry, tables: Tables) {
    this.#registry = registry;
    this.#byId = tables.byId;
    this.#byScope = tables.byScope;
    this.#names = tables.names;
    this.#consumers = tables.consumers;
    this.#order = [...tables.names.keys()].flatMap((name) => registry.get(name) ?? []).sort(byKongOrder);
  }

  static empty(registry: PluginRegistry): PluginPlan {
    return new PluginPlan(registry, {
      byId: PersistentMap.empty(),
      byScope: PersistentMap.empty(),
      names: new Map(),
      consumers: PersistentMap.empty(),
    });
  }

  /** Throws `ConfigError` naming the plugin that is unknown here or whose configuration does not compile. */
  update(changes: TableChanges): PluginPlan {
    let { byId, byScope, consumers } = { byId: this.#byId, byScope: this.#byScope, consumers: this.#consumers };
    const names = new Map(this.#names);
    const remove = (id: string): void => {
      const old = byId.get(id);
      if (old === undefined) return;
      byId = byId.delete(id);
      if (old.instance === null) return;
      if (byScope.get(old.key) === old.instance) byScope = byScope.delete(old.key);
      count(names, old.instance.plugin.name, -1);
      const { consumer } = old.instance.scope;
      if (consumer !== null) {
        const left = (consumers.get(consumer) ?? 1) - 1;
        consumers = left === 0 ? consumers.delete(consumer) : consumers.set(consumer, left);
      }
    };
    for (const id of changes.deletes) remove(id);
    // All old rows go before any new one comes: a scope may pass from one row to another in one change.
    for (const row of changes.upserts) remove(row.id);
    for (const row of changes.upserts) {
      const placed = this.#place(row);
      byId = byId.set(row.id, placed);
      if (placed.instance === null) continue;
      byScope = byScope.set(placed.key, placed.instance);
      count(names, placed.instance.plugin.name, 1);
      const { consumer } = placed.instance.scope;
      if (consumer !== null) consumers = consumers.set(consumer, (consumers.get(consumer) ?? 0) + 1);
    }
    return new PluginPlan(this.#registry, { byId, byScope, names, consumers });
  }

  chain(target: PluginTarget): PluginChain {
    const consumer = target.consumer !== null && this.#consumers.has(target.consumer) ? target.consumer : null;
    const memo = consumer === null ? this.#chains : this.#consumerChains;
    const key = `${target.workspace}|${target.route}|${target.service}|${consumer}`;
    const known = memo.get(key);
    if (known !== undefined) return known;
    const chain = this.#order.flatMap((plugin) => this.#select(plugin.name, { ...target, consumer }) ?? []);
    if (consumer !== null && memo.size >= MAX_CONSUMER_CHAINS) memo.clear();
    memo.set(key, chain);
    return chain;
  }

  /** Kong's precedence: the most specific combination wins, nothing is merged. */
  #select(name: string, { workspace, route, service, consumer }: PluginTarget): PluginInstance | undefined {
    const scopes: readonly (readonly [string | null, string | null, string | null])[] = [
      [route, service, consumer],
      [route, null, consumer],
      [null, service, consumer],
      [route, service, null],
      [null, null, consumer],
      [route, null, null],
      [null, service, null],
    ];
    for (const [r, s, c] of scopes) {
      const found = this.#byScope.get(scopeKey(workspace, name, r, s, c));
      if (found !== undefined) return found;
    }
    return this.#byScope.get(scopeKey(workspace, name, null, null, null));
  }

  #place(row: BundleRow): Placed {
    const read = new RowReader('plugins', row);
    const name = read.string('name');
    const scope: PluginScope = {
      id: row.id,
      service: read.reference('service'),
      route: read.reference('route'),
      consumer: read.reference('consumer'),
    };
    const key = scopeKey(workspaceOf(row), name, scope.route, scope.service, scope.consumer);
    const protocols = read.strings('protocols');
    const http = protocols.length === 0 || protocols.some((protocol) => HTTP_PROTOCOLS.has(protocol));
    const plugin = this.#registry.get(name);
    if (plugin === undefined) throw new ConfigError(`plugins ${row.id}: this data plane has no plugin '${name}'`);
    if (!http || !read.boolean('enabled', true)) return { key, instance: null };
    const config = read.raw('config');
    if (!isRecord(config)) throw read.refuse('config', 'a record', config);
    try {
      return { key, instance: { plugin, scope, config, compiled: plugin.compile(config, scope) } };
    } catch (error) {
      const reason = messageOf(error);
      throw new ConfigError(`plugins ${row.id}: '${name}' does not compile: ${reason}`);
    }
  }
}

const HTTP_PROTOCOLS = new Set(['http', 'https', 'grpc', 'grpcs']);

interface Placed {
  readonly key: string;
  /** Null: disabled, or for other protocols. */
  readonly instance: PluginInstance | null;
}

interface Tables {
  readonly byId: PersistentMap<Placed>;
  readonly byScope: PersistentMap<PluginInstance>;
  readonly names: ReadonlyMap<string, number>;
  readonly consumers: PersistentMap<number>;
}

/** Priority descending, ties by name descending. */
export function byKongOrder(a: Plugin, b: Plugin): number {
  if (a.priority !== b.priority) return b.priority - a.priority;
  return a.name === b.name ? 0 : a.name < b.name ? 1 : -1;
}

function scopeKey(
  workspace: string,
  name: string,
  route: string | null,
  service: string | null,
  consumer: string | null,
): string {
  return `${workspace}|${name}|${route ?? ''}|${service ?? ''}|${consumer ?? ''}`;
}

function count(names: Map<string, number>, name: string, by: number): void {
  const next = (names.get(name) ?? 0) + by;
  if (next <= 0) names.delete(name);
  else names.set(name, next);
}
