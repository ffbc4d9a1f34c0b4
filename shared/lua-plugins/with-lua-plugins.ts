import { plugins } from '../plugins/registry.ts';
import type { Row } from '../record.ts';
import type { Context } from '../schema/complete.ts';
import { luaPluginSchema } from './provided.ts';
import { sourceOf } from './read-plugin.ts';
import { LuaPluginRefused } from './source.ts';

/**
 * The context with plugins in Lua beside the bundled ones: rows of `custom_plugins`, read when one is first asked for. They take the place
 * of those of the same name that the context has already.
 */
export function withLuaPlugins(context: Context, rows: Iterable<Readonly<Row>>): Context {
  if (context.luaPlugins === false) return context;
  const byName = new Map([...rows].map((row) => [String(row.name), row]));
  if (byName.size === 0) return context;
  return {
    ...context,
    subschema(entity, key) {
      const row = entity === 'plugins' && !plugins.has(key) ? byName.get(key) : undefined;
      if (row === undefined) return context.subschema(entity, key);
      try {
        return luaPluginSchema(sourceOf(row));
      } catch (error) {
        // What is wrong with it is told of its own row.
        if (error instanceof LuaPluginRefused) return undefined;
        throw error;
      }
    },
  };
}
