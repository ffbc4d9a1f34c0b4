import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { metered } from '../../shared/lua/metering.ts';
import type { LuaModules } from '../../shared/lua/wasm.ts';

/** The Lua machine's modules, read from the package and compiled: some milliseconds. */
export function luaModules(): LuaModules {
  const read = (url: string | URL) => readFileSync(fileURLToPath(url));
  return {
    lua: new WebAssembly.Module(metered(read(import.meta.resolve('wasmoon-lua5.1/dist/liblua5.1.wasm')))),
    trampolines: new WebAssembly.Module(read(new URL('../../shared/lua/trampolines.wasm', import.meta.url))),
  };
}
