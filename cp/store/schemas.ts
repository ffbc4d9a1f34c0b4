import { entities, entitiesFor, type RouterFlavor } from '../../shared/entities/registry.ts';
import { plugins } from '../../shared/plugins/registry.ts';
import type { Schemas } from './catalog.ts';

/** The project's entities, as the store keeps them. */
export const schemas: Schemas = {
  entities,
  subschema: (entity, key) => (entity === 'plugins' ? plugins.get(key) : undefined),
};

/**
 * The same with routes as a router flavour has them, and of the plugins those that are `enabled` (null: all known ones).
 * Rows that configure another are refused; those that are there stay, and can be read and deleted. `luaPlugins`: whether plugins in
 * Lua are taken.
 */
export const schemasFor = (
  flavor: RouterFlavor,
  enabled: ReadonlySet<string> | null = null,
  luaPlugins = true,
): Schemas => ({
  luaPlugins,
  entities: entitiesFor(flavor),
  subschema: (entity, key) => ((enabled?.has(key) ?? true) ? schemas.subschema(entity, key) : undefined),
});
