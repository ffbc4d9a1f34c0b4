import type { PluginSchema } from '../schema/vocabulary.ts';
import { type OpenLua, readLuaPlugin } from './read-plugin.ts';
import type { LuaPluginSource } from './source.ts';

let open: OpenLua | null = null;

/** Says, once per process, where the machines come from that plugins in Lua are loaded into to be checked. */
export function providePluginLua(from: OpenLua): void {
  open = from;
}

/** Those read last, by all that they were read from: each holds a machine for its functions. */
const known = new Map<string, PluginSchema>();
const MOST_KNOWN = 64;

/** `readLuaPlugin` with what is provided; the same source is read once. Throws `LuaPluginRefused`. */
export function luaPluginSchema(source: LuaPluginSource): PluginSchema {
  if (open === null) throw new Error('no Lua for plugins was provided');
  const key = JSON.stringify([source.name, source.schema, source.handler, source.modules]);
  const schema = known.get(key) ?? readLuaPlugin(source, open);
  known.delete(key);
  known.set(key, schema);
  const [oldest] = known.keys();
  if (known.size > MOST_KNOWN && oldest !== undefined) known.delete(oldest);
  return schema;
}
