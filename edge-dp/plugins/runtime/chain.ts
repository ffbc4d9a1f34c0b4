import { messageOf } from '../../../shared/thrown.ts';
import type { Hooks, Place, Plugin } from './plugin.ts';

/** One plugin row, compiled. */
export interface PluginInstance {
  readonly plugin: Plugin;
  readonly place: Place;
  readonly config: unknown;
  readonly hooks: Hooks;
}

/** The instances some requests run, in Kong's order, with those of each phase picked out. */
export class Chain {
  readonly instances: readonly PluginInstance[];
  readonly access: readonly PluginInstance[];
  readonly response: readonly PluginInstance[];
  readonly log: readonly PluginInstance[];
  readonly preread: readonly PluginInstance[];
  readonly logStream: readonly PluginInstance[];
  /** One of them looks at what the service answered. */
  readonly asksForReceived: boolean;
  /** By the chain that went on as this one, and how far it had run. */
  readonly #continued = new WeakMap<Chain, Map<number, Chain>>();

  constructor(instances: readonly PluginInstance[]) {
    this.instances = instances;
    this.access = instances.filter(({ hooks }) => hooks.access !== undefined);
    this.response = instances.filter(({ hooks }) => hooks.response !== undefined);
    this.log = instances.filter(({ hooks }) => hooks.log !== undefined);
    this.preread = instances.filter(({ hooks }) => hooks.preread !== undefined);
    this.logStream = instances.filter(({ hooks }) => hooks.logStream !== undefined);
    this.asksForReceived = instances.some(({ hooks }) => hooks.asksForReceived === true);
  }

  /** Whether no phase has anything to run. */
  get idle(): boolean {
    return this.access.length === 0 && this.response.length === 0 && this.log.length === 0;
  }

  /**
   * What a request runs that began with `before`, whose access hook number `at` was the last to run, and goes on with this: those
   * up to there, then of this one those that come after it. The access hooks that ran keep their numbers.
   */
  after(before: Chain, at: number): Chain {
    const known = this.#continued.get(before)?.get(at);
    if (known !== undefined) return known;
    const last = before.access[at];
    const ran = last === undefined ? 0 : before.instances.indexOf(last) + 1;
    const rest =
      last === undefined ? this.instances : this.instances.filter(({ plugin }) => byKongOrder(last.plugin, plugin) < 0);
    const chain = new Chain([...before.instances.slice(0, ran), ...rest]);
    const others = this.#continued.get(before) ?? new Map<number, Chain>();
    this.#continued.set(before, others.set(at, chain));
    return chain;
  }
}

export const NO_PLUGINS = new Chain([]);

/** Of configs that were made beside each other, several may have had it, and let go of it. */
const closed = new WeakSet<PluginInstance>();

/** Lets go of what the instance has made; once. */
export function closeInstance(instance: PluginInstance): void {
  if (closed.has(instance)) return;
  closed.add(instance);
  const { plugin, place, hooks } = instance;
  try {
    hooks.close?.();
  } catch (error) {
    console.error(`plugin ${plugin.name} (${place.id}) failed in close: ${messageOf(error)}`);
  }
}

/** Priority descending, ties by name descending. */
export function byKongOrder(a: Pick<Plugin, 'priority' | 'name'>, b: Pick<Plugin, 'priority' | 'name'>): number {
  if (a.priority !== b.priority) return b.priority - a.priority;
  return a.name === b.name ? 0 : a.name < b.name ? 1 : -1;
}
