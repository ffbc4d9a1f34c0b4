import { type LoadedHandler, loadHandler } from '../../shared/lua-plugins/handler.ts';
import type { PluginLua } from '../../shared/lua-plugins/plugin-lua.ts';
import { familyOf, type LuaPluginSource, runningModules } from '../../shared/lua-plugins/source.ts';
import { isRecord } from '../../shared/record.ts';
import type { Answer, Hooks, Place, Plugin } from '../plugins/runtime/plugin.ts';
import type { Services } from '../plugins/runtime/services.ts';
import type { LuaSettings } from '../settings.ts';
import type { LuaContext } from './context.ts';
import { fromJson } from './json.ts';
import { phaseHooks } from './phase-hooks.ts';
import { pluginLua } from './plugin-lua.ts';
import { ended, LUA_IS_OFF } from './scripts.ts';

/**
 * A plugin that came with the config as Lua: its handler in a machine of its own, which all its configurations share, as modules of
 * Kong's do. Throws what keeps it from being loaded.
 */
export function luaPlugin(source: Omit<LuaPluginSource, 'schema'>, settings: LuaSettings): Plugin {
  if (settings.untrusted === 'off') throw new Error(LUA_IS_OFF);
  const machine = new HandlerMachine(source);
  const { version, priority } = machine.handler;
  return {
    name: familyOf(source.name),
    version,
    priority,
    compile: (config, place, services) => machine.hooks(config, place, services),
  };
}

/** The handler in the machine that runs it now; should that break down, it is loaded into another. */
class HandlerMachine {
  readonly #source: Omit<LuaPluginSource, 'schema'>;
  readonly #configs = new Map<string, object>();
  #lua: PluginLua;
  #handler: LoadedHandler;
  /** Configurations, so far. */
  #made = 0;

  constructor(source: Omit<LuaPluginSource, 'schema'>) {
    this.#source = source;
    this.#lua = pluginLua(runningModules(source));
    this.#handler = loadHandler(this.#lua, source.name);
  }

  get handler(): LoadedHandler {
    return this.#handler;
  }

  hooks(config: unknown, place: Place, services: Services): Hooks {
    // One configuration may follow another of the same row while requests are still with the first.
    const key = String(this.#made++);
    const conf = withPlace(config, place);
    this.#hold(key, conf);
    const site = { plugin: familyOf(this.#source.name), place, services };
    let runs = 0;
    let isClosed = false;
    const letGo = (): void => {
      if (isClosed && runs === 0) this.#letGo(key);
    };
    const run = (context: LuaContext): Answer | undefined | Promise<Answer | undefined> => {
      // Requests that began before it was closed may go on with it.
      this.#hold(key, conf);
      runs += 1;
      const done = (): void => {
        runs -= 1;
        letGo();
      };
      let outcome: Answer | undefined | Promise<Answer | undefined>;
      try {
        outcome = this.#run(key, context);
      } catch (error) {
        done();
        throw error;
      }
      if (outcome instanceof Promise) return outcome.finally(done);
      done();
      return outcome;
    };
    return {
      ...phaseHooks(site, this.#handler.phases, run),
      close() {
        isClosed = true;
        letGo();
      },
    };
  }

  #hold(key: string, conf: object): void {
    if (this.#configs.has(key)) return;
    this.#configs.set(key, conf);
    if (this.#lua.machine.lost === null) this.#keep(key, conf);
  }

  #letGo(key: string): void {
    this.#configs.delete(key);
    if (this.#lua.machine.lost === null) this.#keep(key, null);
  }

  #run(key: string, context: LuaContext): Answer | undefined | Promise<Answer | undefined> {
    if (this.#lua.machine.lost !== null) {
      this.#lua = pluginLua(runningModules(this.#source));
      this.#handler = loadHandler(this.#lua, this.#source.name);
      for (const [other, conf] of this.#configs) this.#keep(other, conf);
    }
    const { machine } = this.#lua;
    const { run } = this.#handler;
    return ended(context, () => machine.run(run, [context.phase, key], context));
  }

  #keep(key: string, conf: object | null): void {
    this.#lua.call(this.#handler.keep, [key, fromJson(conf, 0, null)]);
  }
}

/** The configuration as Kong hands it over: with what it is bound to. What is not set is not there. */
function withPlace(config: unknown, place: Place): object {
  return {
    ...(isRecord(config) ? config : {}),
    __plugin_id: place.id,
    plugin_instance_name: place.instanceName,
    route_id: place.route,
    service_id: place.service,
    consumer_id: place.consumer,
  };
}
