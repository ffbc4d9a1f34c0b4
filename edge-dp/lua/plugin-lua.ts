import { DEFAULT_LIMITS, type LuaMachine } from '../../shared/lua/machine.ts';
import type { LuaReference, LuaValue } from '../../shared/lua/value.ts';
import type { PluginLua } from '../../shared/lua-plugins/plugin-lua.ts';
import { gatewayLua } from './gateway-lua.ts';

/** Of all that one plugin keeps; an isolate has 128 MB. */
const MEMORY = 16 * 1024 * 1024;

/** A machine for one plugin alone, with the plugin's own modules beside those of data planes. */
export function pluginLua(modules: ReadonlyMap<string, string>): PluginLua {
  const { machine, provide, require } = gatewayLua({ ...DEFAULT_LIMITS, memory: MEMORY });
  for (const [name, source] of modules) now(machine, provide, [name, source]);
  return {
    machine,
    require: (name) => now(machine, require, [name])[0],
    call: (fn, parameters) => now(machine, fn, parameters),
  };
}

/** Runs what has nothing to wait for. */
function now(machine: LuaMachine, fn: LuaReference, parameters: readonly LuaValue[]): readonly LuaValue[] {
  const outcome = machine.run(fn, parameters, null);
  if (!(outcome instanceof Promise)) return outcome;
  outcome.catch(() => {});
  throw new Error('it waits for something, which there is no request for');
}
