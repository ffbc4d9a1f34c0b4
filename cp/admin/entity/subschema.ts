import { plugins } from '../../../shared/plugins/registry.ts';
import type { EntitySchema, Subschema } from '../../../shared/schema/vocabulary.ts';
import type { LuaPlugins } from '../../store/lua-plugins.ts';
import type { RowKey } from '../../store/store.ts';
import { argument } from '../request/body.ts';
import type { Call } from '../route.ts';

/** The sub-schema a value of the entity's sub-schema key chooses: a plugin by its name, a route by its protocol. */
export async function subschemaOf(
  schema: EntitySchema,
  value: unknown,
  luaPlugins: LuaPlugins,
): Promise<Subschema | undefined> {
  // Routes are told apart by the first of their protocols, which a form gives as a list or as a single text.
  const key: unknown = Array.isArray(value) ? value[0] : value;
  if (typeof key !== 'string') return undefined;
  if (schema.name === 'plugins') return plugins.get(key) ?? (await luaPlugins.named(key));
  return schema.subschemas !== undefined && Object.hasOwn(schema.subschemas, key) ? schema.subschemas[key] : undefined;
}

/**
 * The value of a row's sub-schema key as stored, needed to coerce a form that changes the row without naming it
 * (`PATCH /plugins/{id}` with `config.minute=5`). Undefined when the body is not a form, or says it itself.
 */
export async function storedDiscriminator(call: Call, schema: EntitySchema, key: RowKey): Promise<unknown> {
  const field = schema.subschema_key;
  if (field === undefined || call.body.kind !== 'form' || argument(call.body, field) !== undefined) return undefined;
  return (await call.workspace.entity(schema.name).select(key))?.[field];
}
