import type { LuaModules } from './wasm.ts';

let modules: (() => LuaModules) | null = null;
let compiled: LuaModules | null = null;

/**
 * Says where the machine's WebAssembly comes from, once per process or isolate: files under Node, imported modules in a Worker.
 * Asked when the first Lua is met.
 */
export function provideLua(from: () => LuaModules): void {
  modules = from;
  compiled = null;
}

export function providedLua(): LuaModules {
  if (modules === null) throw new Error('no Lua was provided');
  compiled ??= modules();
  return compiled;
}
