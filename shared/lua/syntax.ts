import { LuaMachine } from './machine.ts';
import { LuaSyntaxError } from './value.ts';
import type { LuaModules } from './wasm.ts';

let modules: (() => LuaModules) | null = null;
let machine: LuaMachine | null = null;

/** Says where the WebAssembly modules come from; asked once, when the first Lua is checked. */
export function provideLua(from: () => LuaModules): void {
  modules = from;
}

/**
 * What keeps a text from being a Lua chunk, in Lua's own words, or nothing. Compiled by the machine that runs it on data planes;
 * nothing is run.
 */
export function luaSyntaxError(source: string): string | undefined {
  if (modules === null) throw new Error('no Lua was provided to check sources with');
  if (machine === null || machine.lost !== null) machine = new LuaMachine(modules());
  try {
    machine.release(machine.load(source));
    return undefined;
  } catch (error) {
    if (error instanceof LuaSyntaxError) return error.message;
    throw error;
  }
}
