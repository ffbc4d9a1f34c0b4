import { entity } from '../../../shared/entities/registry.ts';
import { withLuaPlugins } from '../../../shared/lua-plugins/with-lua-plugins.ts';
import { isRecord, type Row } from '../../../shared/record.ts';
import { type Context, completeInsert } from '../../../shared/schema/complete.ts';
import { foreignKeyViolationRestricted, KongError, schemaViolation } from '../../../shared/schema/errors.ts';
import { equal } from '../../../shared/schema/record.ts';
import type { Field } from '../../../shared/schema/vocabulary.ts';
import type { Session } from '../database.ts';
import type { Behaviour } from './behaviour.ts';

/**
 * A plugin in Lua stays as long as rows are of it, under its name; and where it gets another schema, these rows follow in the same
 * transaction: what it does not know any more goes, what is new has its default, and what does not fit refuses the write.
 */
export const customPlugins: Behaviour = {
  async beforeWrite(row, { session, catalog }) {
    if (catalog.context.luaPlugins === false) throw schemaViolation({ '@entity': [LUA_IS_OFF] });
    const before = await nameOf(String(row.id), session);
    if (before !== null && before !== row.name && (await isUsed(before, session))) {
      throw schemaViolation({ name: `rows of plugins are of '${before}': it cannot be renamed` });
    }
    return row;
  },

  async afterWrite(stored, { session, bulk, catalog }) {
    const context = withLuaPlugins(catalog.context, [stored]);
    const rows = await session.query(
      `SELECT id, name, config, protocols, route_id, service_id, consumer_id FROM plugins WHERE name = $1 FOR UPDATE`,
      [String(stored.name)],
    );
    for (const row of rows) {
      const config = await revised(row, context).catch((error: unknown) => {
        // Of a whole document, which has rows of its own in the place of these.
        if (bulk && error instanceof KongError) return row.config;
        throw error;
      });
      if (equal(config, row.config)) continue;
      await session.query(`UPDATE plugins SET config = $2::json WHERE id = $1::uuid`, [
        String(row.id),
        JSON.stringify(config),
      ]);
    }
    return stored;
  },

  async beforeDelete(id, { session }) {
    const name = await nameOf(id, session);
    if (name !== null && (await isUsed(name, session)))
      throw foreignKeyViolationRestricted('custom_plugins', 'plugins');
  },
};

const LUA_IS_OFF = "plugins in Lua are not taken because 'untrusted_lua' config option is set to 'off'";

/** Locked, so that no row becomes of it meanwhile. */
async function nameOf(id: string, session: Session): Promise<string | null> {
  const [row] = await session.query(`SELECT name FROM custom_plugins WHERE id = $1::uuid FOR UPDATE`, [id]);
  return row === undefined ? null : String(row.name);
}

async function isUsed(name: string, session: Session): Promise<boolean> {
  return (await session.query(`SELECT 1 FROM plugins WHERE name = $1 LIMIT 1`, [name])).length > 0;
}

/** The configuration of a row as the schema has it now. */
async function revised(row: Row, context: Context): Promise<unknown> {
  const schema = entity('plugins');
  const config = context.subschema('plugins', String(row.name))?.fields.config;
  if (schema === undefined || config === undefined) throw new TypeError(`there is no schema of '${row.name}'`);
  const bound = Object.fromEntries(
    ['route', 'service', 'consumer'].map((field) => [field, row[`${field}_id`] ? { id: row[`${field}_id`] } : null]),
  );
  const { id, name, protocols } = row;
  try {
    const complete = await completeInsert(
      schema,
      { id, name, protocols, ...bound, config: known(config, row.config) },
      context,
    );
    return complete.config;
  } catch (error) {
    if (!(error instanceof KongError) || error.code !== 2) throw error;
    throw schemaViolation({ schema: `plugin ${id} does not fit it: ${error.message}` });
  }
}

/** Of a stored value what a field still knows. */
function known(field: Field, value: unknown): unknown {
  if (field.type === 'record' && isRecord(value)) {
    return Object.fromEntries(
      Object.entries(field.fields).flatMap(([name, inner]) =>
        Object.hasOwn(value, name) ? [[name, known(inner, value[name])]] : [],
      ),
    );
  }
  if ((field.type === 'array' || field.type === 'set') && Array.isArray(value)) {
    return value.map((item) => known(field.elements, item));
  }
  if (field.type === 'map' && isRecord(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, known(field.values, item)]));
  }
  return value;
}
