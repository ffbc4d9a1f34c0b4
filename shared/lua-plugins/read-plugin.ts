import { isRecord } from '../record.ts';
import type { PluginSchema } from '../schema/vocabulary.ts';
import { messageOf } from '../thrown.ts';
import { forbidden, forbiddenPart } from './forbidden.ts';
import { loadHandler } from './handler.ts';
import { table, text } from './lua-value.ts';
import type { PluginLua } from './plugin-lua.ts';
import { FieldReader } from './schema-field.ts';
import { SchemaFunctions } from './schema-functions.ts';
import { familyOf, LuaPluginRefused, type LuaPluginSource, moduleName, runningModules } from './source.ts';
import { TYPEDEFS_MODULE } from './typedefs.ts';

/** Makes a machine as data planes have it, with modules by name. */
export type OpenLua = (modules: ReadonlyMap<string, string>) => PluginLua;

/**
 * What a plugin in Lua is to the control plane: its schema, run and read into the vocabulary of the bundled ones, and what its handler
 * says of itself, loaded as data planes load it. Throws `LuaPluginRefused`.
 */
export function readLuaPlugin(source: LuaPluginSource, openLua: OpenLua): PluginSchema {
  const family = familyOf(source.name);
  const { modules } = source;
  for (const [name, lua] of Object.entries(modules ?? {})) {
    inField('modules', () => {
      const unsent = forbiddenPart(family, name) ?? taken(name, source.name);
      if (unsent !== undefined) throw new Error(unsent);
      refuse(forbidden(lua, { schema: false }), `${name}: `);
    });
  }
  inField('handler', () => refuse(forbidden(source.handler, { schema: false })));
  inField('schema', () => refuse(forbidden(source.schema, { schema: true })));
  const handler = inField('handler', () => loadHandler(openLua(runningModules(source)), source.name));
  return inField('schema', () => {
    const lua = openLua(
      new Map([
        ...Object.entries(modules ?? {}),
        ['kong.db.schema.typedefs', TYPEDEFS_MODULE],
        [moduleName(source.name, 'schema'), source.schema],
      ]),
    );
    return {
      ...readSchema(lua, source.name),
      version: handler.version,
      priority: handler.priority,
      phases: [...handler.phases],
    };
  });
}

function readSchema(lua: PluginLua, name: string): Omit<PluginSchema, 'version' | 'priority' | 'phases'> {
  const schema = table(lua.require(moduleName(name, 'schema')), 'what schema.lua returns');
  const family = familyOf(name);
  const own = text(schema.get('name'), "the schema's name");
  if (own !== family) throw new Error(`the schema is of a plugin named '${own}', not '${family}'`);
  for (const key of schema.keys()) {
    if (!KNOWN.has(String(key))) throw new Error(UNKNOWN.get(String(key)) ?? `unknown member '${String(key)}'`);
  }
  const reader = new FieldReader(new SchemaFunctions(lua));
  const fields = reader.fields(schema.get('fields'), 'fields');
  if (fields.config?.type !== 'record') throw new Error("fields: a record 'config' is expected");
  const unknown = Object.keys(fields).find((field) => !PLUGIN_FIELDS.has(field));
  if (unknown !== undefined) throw new Error(`fields: a plugin has no field '${unknown}'`);
  const checks = schema.get('entity_checks');
  const shorthands = schema.get('shorthand_fields');
  return {
    name,
    // Without a config of its own a row has all defaults.
    fields: { ...fields, config: { ...fields.config, required: true } },
    ...(checks !== undefined && { entity_checks: reader.checks(checks, 'entity_checks') }),
    ...(shorthands !== undefined && { shorthand_fields: reader.shorthands(shorthands, 'shorthand_fields') }),
  };
}

const KNOWN = new Set(['name', 'fields', 'entity_checks', 'shorthand_fields', 'supported_partials']);
const PLUGIN_FIELDS = new Set(['consumer', 'consumer_group', 'route', 'service', 'protocols', 'config']);

const UNKNOWN: ReadonlyMap<string, string> = new Map([
  ['no_consumer', "'no_consumer' is of schemas before Kong 1.0: fields = { { consumer = typedefs.no_consumer }, … }"],
  ['self_check', "'self_check' is of schemas before Kong 1.0: use entity_checks"],
  ['transformations', "'transformations' cannot be had: what is stored is what was given"],
]);

/** A module that the plugin must not bring. */
function taken(name: string, plugin: string): string | undefined {
  if (name === moduleName(plugin, 'handler') || name === moduleName(plugin, 'schema')) {
    return `'${name}' is sent as '${name.slice(name.lastIndexOf('.') + 1)}'`;
  }
  return name === 'kong.db.schema.typedefs' ? `'${name}' is there already` : undefined;
}

function refuse(reason: string | undefined, where = ''): void {
  if (reason !== undefined) throw new Error(`${where}${reason}`);
}

function inField<T>(field: LuaPluginRefused['field'], read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new LuaPluginRefused(field, messageOf(error));
  }
}

/** A stored row as a source. */
export function sourceOf(row: Readonly<Record<string, unknown>>): LuaPluginSource {
  const modules = isRecord(row.modules) ? row.modules : null;
  return {
    name: String(row.name),
    schema: String(row.schema),
    handler: String(row.handler),
    modules: modules && Object.fromEntries(Object.entries(modules).map(([name, lua]) => [name, String(lua)])),
  };
}
