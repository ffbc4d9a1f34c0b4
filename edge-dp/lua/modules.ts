import lua from 'wasmoon-lua5.1/dist/liblua5.1.wasm';
import trampolines from '../../shared/lua/trampolines.wasm';
import type { LuaModules } from '../../shared/lua/wasm.ts';

/** The Lua machine's modules, compiled by the host when it loads the Worker. */
export const importedLua: LuaModules = { lua, trampolines };
