import { entities, entitiesFor, type RouterFlavor } from '../../shared/entities/registry.ts';
import { plugins } from '../../shared/plugins/registry.ts';
import type { Schemas } from './catalog.ts';

/** The project's entities, as the store keeps them. */
export const schemas: Schemas = {
  entities,
  subschema: (entity, key) => (entity === 'plugins' ? plugins.get(key) : undefined),
};

/** The same with routes as a router flavour has them. */
export const schemasFor = (flavor: RouterFlavor): Schemas => ({ ...schemas, entities: entitiesFor(flavor) });
