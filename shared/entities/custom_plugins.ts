import { luaPluginSchema } from '../lua-plugins/provided.ts';
import { sourceOf } from '../lua-plugins/read-plugin.ts';
import { familyOf, LuaPluginRefused } from '../lua-plugins/source.ts';
import { bundledPlugins, plugins } from '../plugins/registry.ts';
import { autoTimestamp, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** A plugin in Lua that is sent to the control plane, as in Konnect, and travels to data planes with the config. */
export const customPlugins = defineEntity({
  name: 'custom_plugins',
  primary_key: ['id'],
  endpoint_key: 'name',
  admin_api_name: 'custom-plugins',
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    name: {
      type: 'string',
      required: true,
      unique: true,
      len_max: 128,
      custom_validator: (name: string) => {
        if (!/^[A-Za-z0-9][\w.-]*(@[\w.-]+)?$/.test(name)) {
          return "expected letters, digits, '-', '_' and '.', and '@' before a version's label";
        }
        const family = familyOf(name);
        if (!plugins.has(family)) return undefined;
        return `'${family}' is ${bundledPlugins.has(family) ? 'a bundled plugin' : 'a plugin of this control plane'}`;
      },
      description: 'What plugins made of it are called. With @ and a label behind it, one version among several.',
    },
    schema: {
      type: 'string',
      required: true,
      len_max: 262_144,
      description: 'Lua source of the table that says which settings it takes.',
    },
    handler: {
      type: 'string',
      required: true,
      len_max: 1_048_576,
      description: 'Lua source of what it does in each phase.',
    },
    modules: {
      type: 'map',
      keys: {
        type: 'string',
        match: { pattern: '^[%w_.-]+$', regex: /^[\w.-]+$/, err: 'expected the name of a Lua module' },
      },
      values: { type: 'string', len_max: 1_048_576 },
      len_max: 100,
      extension: true,
      description: 'Lua sources that the handler can require, by the name of the module.',
    },
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    tags,
  },
  entity_checks: [
    {
      custom_entity_check: {
        field_sources: ['name', 'schema', 'handler', 'modules'],
        run_with_missing_fields: true,
        fn: (row) => {
          if (['name', 'schema', 'handler'].some((field) => typeof row[field] !== 'string')) return undefined;
          try {
            luaPluginSchema(sourceOf(row));
            return undefined;
          } catch (error) {
            if (error instanceof LuaPluginRefused) return { [error.field]: error.message };
            throw error;
          }
        },
      },
    },
  ],
});
