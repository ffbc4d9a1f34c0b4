import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { LuaModules } from '../../shared/lua/wasm.ts';

/** The Lua machine's modules, read from the package and compiled: some milliseconds. */
export function luaModules(): LuaModules {
  const compile = (url: string | URL) => new WebAssembly.Module(readFileSync(fileURLToPath(url)));
  return {
    lua: compile(import.meta.resolve('wasmoon-lua5.1/dist/liblua5.1.wasm')),
    trampolines: compile(new URL('../../shared/lua/trampolines.wasm', import.meta.url)),
  };
}
