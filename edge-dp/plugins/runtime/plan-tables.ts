import type { BundleRow } from '../../../shared/bundle/format.ts';
import { isRecord } from '../../../shared/record.ts';
import { messageOf } from '../../../shared/thrown.ts';
import type { RowSecrets, TableChanges } from '../../config/changes.ts';
import { ConfigError } from '../../config/config-error.ts';
import { PersistentMap } from '../../config/persistent-map.ts';
import { RowReader } from '../../config/row.ts';
import { luaPlugin } from '../../lua/lua-plugin.ts';
import type { LuaSettings } from '../../settings.ts';
import type { PluginInstance } from './chain.ts';
import type { Plugin } from './plugin.ts';

/** A plugin row in the plan. */
export interface Placed {
  readonly key: string;
  /** To be compiled again when its plugin changes; null for plugins that are part of this data plane. */
  readonly row: CompiledRow | null;
  /** Null: disabled, or for other protocols. */
  readonly instance: PluginInstance | null;
}

/** A row as it was compiled, with what it had from vaults. */
export interface CompiledRow {
  readonly row: BundleRow;
  readonly secrets: RowSecrets | undefined;
}

/** The plugins that came with the config, by the name that rows have. */
export type SentPlugins = ReadonlyMap<string, { readonly id: string; readonly plugin: Plugin }>;

export interface PlanTables {
  readonly byId: PersistentMap<Placed>;
  readonly byPlace: PersistentMap<PluginInstance>;
  readonly sent: SentPlugins;
  /** Configured names, each with its number of rows. */
  readonly names: ReadonlyMap<string, number>;
  /** Number of rows bound to each consumer and group: only these need chains of their own. */
  readonly consumers: PersistentMap<number>;
  readonly groups: PersistentMap<number>;
}

export const NO_PLACES: PlanTables = {
  byId: PersistentMap.empty(),
  byPlace: PersistentMap.empty(),
  sent: new Map(),
  names: new Map(),
  consumers: PersistentMap.empty(),
  groups: PersistentMap.empty(),
};

/** The tables while rows go and come. */
export class Edit {
  #byId: PlanTables['byId'];
  #byPlace: PlanTables['byPlace'];
  #consumers: PlanTables['consumers'];
  #groups: PlanTables['groups'];
  #sent: PlanTables['sent'];
  readonly #names: Map<string, number>;
  readonly gone: PluginInstance[] = [];

  constructor({ byId, byPlace, sent, names, consumers, groups }: PlanTables) {
    this.#byId = byId;
    this.#byPlace = byPlace;
    this.#sent = sent;
    this.#names = new Map(names);
    this.#consumers = consumers;
    this.#groups = groups;
  }

  get tables(): PlanTables {
    return {
      byId: this.#byId,
      byPlace: this.#byPlace,
      sent: this.#sent,
      names: this.#names,
      consumers: this.#consumers,
      groups: this.#groups,
    };
  }

  get sent(): SentPlugins {
    return this.#sent;
  }

  /** Takes changes of the plugins that come with the config; gives the rows to be compiled again. Throws `ConfigError`. */
  replaceSent({ deletes, upserts }: TableChanges, lua: LuaSettings): readonly CompiledRow[] {
    if (deletes.length + upserts.length === 0) return [];
    const gone = new Set([...deletes, ...upserts.map(({ id }) => id)]);
    const kept = [...this.#sent].filter(([, { id }]) => !gone.has(id));
    const come = upserts.map((row) => [String(row.name), { id: row.id, plugin: loaded(row, lua) }] as const);
    const changed = new Set(come.map(([name]) => name));
    this.#sent = new Map([...kept, ...come]);
    return [...this.#byId.entries()].flatMap(([, { row }]) =>
      row !== null && changed.has(String(row.row.name)) ? [row] : [],
    );
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

function loaded(row: BundleRow, settings: LuaSettings): Plugin {
  const read = new RowReader('custom_plugins', row);
  const name = read.string('name');
  const modules = read.raw('modules');
  try {
    return luaPlugin(
      { name, handler: read.string('handler'), modules: isRecord(modules) ? texts(modules) : null },
      settings,
    );
  } catch (error) {
    throw new ConfigError(`custom_plugins ${name} does not load: ${messageOf(error)}`);
  }
}

function texts(modules: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(modules).map(([name, source]) => [name, String(source)]));
}

function counted(counts: PersistentMap<number>, key: string | null, by: 1 | -1): PersistentMap<number> {
  if (key === null) return counts;
  const next = (counts.get(key) ?? 0) + by;
  return next <= 0 ? counts.delete(key) : counts.set(key, next);
}
