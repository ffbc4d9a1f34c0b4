import type { LuaMachine } from '../lua/machine.ts';
import type { LuaReference, LuaValue } from '../lua/value.ts';

/** A Lua machine as a plugin runs in on data planes, with the plugin's modules. */
export interface PluginLua {
  readonly machine: LuaMachine;
  /** What a module gives. Throws `LuaFault` with Lua's words. */
  require(name: string): LuaValue;
  /** What a function of the machine gives. Throws `LuaFault`. */
  call(fn: LuaReference, parameters: readonly LuaValue[]): readonly LuaValue[];
}
