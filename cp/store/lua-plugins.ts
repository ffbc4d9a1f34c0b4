import { luaPluginSchema } from '../../shared/lua-plugins/provided.ts';
import { sourceOf } from '../../shared/lua-plugins/read-plugin.ts';
import { LuaPluginRefused } from '../../shared/lua-plugins/source.ts';
import { recordOrEmpty } from '../../shared/record.ts';
import type { PluginSchema } from '../../shared/schema/vocabulary.ts';
import type { Session, SqlRow } from './database.ts';

/** The plugins in Lua that the database holds, as schemas beside those of the bundled plugins. */
export interface LuaPlugins {
  /** By name. One that this version does not take any more is not among them. */
  all(): Promise<readonly PluginSchema[]>;
  named(name: string): Promise<PluginSchema | undefined>;
}

/** Where nobody could run them. */
export const NO_LUA_PLUGINS: LuaPlugins = { all: async () => [], named: async () => undefined };

export function luaPlugins(session: Session): LuaPlugins {
  return {
    async all() {
      const rows = await session.query({
        name: 'lua_plugins',
        text: 'SELECT to_json(p) AS row FROM custom_plugins AS p ORDER BY name COLLATE "C"',
      });
      return rows.flatMap((row) => schemaIn(row) ?? []);
    },
    async named(name) {
      if (name.includes('\0')) return undefined;
      const [row] = await session.query(
        { name: 'lua_plugin_named', text: 'SELECT to_json(p) AS row FROM custom_plugins AS p WHERE name = $1' },
        [name],
      );
      return row === undefined ? undefined : schemaIn(row);
    },
  };
}

/** What is wrong with it is told where rows of it are written. */
function schemaIn({ row }: SqlRow): PluginSchema | undefined {
  try {
    return luaPluginSchema(sourceOf(recordOrEmpty(row)));
  } catch (error) {
    if (error instanceof LuaPluginRefused) return undefined;
    throw error;
  }
}
