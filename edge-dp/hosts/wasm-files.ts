import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { metered } from '../../shared/lua/metering.ts';

/** What bundles have of a `.wasm` file: Lua is made to count its work. */
export function wasmBytes(path: string): Uint8Array<ArrayBuffer> {
  const bytes = readFileSync(path);
  return basename(path) === LUA ? metered(bytes) : new Uint8Array(bytes);
}

const LUA = 'liblua5.1.wasm';
