import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { metered } from '../../shared/lua/metering.ts';

/** What bundles have of a `.wasm` file: Lua, as its package has it, is made to count its work; what was bundled before counts already. */
export function wasmBytes(path: string): Uint8Array<ArrayBuffer> {
  const bytes = readFileSync(path);
  return path.endsWith(LUA) ? metered(bytes) : new Uint8Array(bytes);
}

const LUA = join('wasmoon-lua5.1', 'dist', 'liblua5.1.wasm');
