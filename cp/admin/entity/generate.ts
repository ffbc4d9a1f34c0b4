import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import type { AdminRoute } from '../route.ts';
import { nestedRoutes } from './nested.ts';
import { parentRoutes } from './parent.ts';
import { topLevelRoutes } from './top-level.ts';

/** The generated paths of all entities that have any. An entity added to the registry has them all. */
export function generatedRoutes(entities: readonly EntitySchema[]): AdminRoute[] {
  return entities
    .filter((schema) => schema.generate_admin_api !== false)
    .flatMap((schema) => routesOf(schema, entities));
}

/**
 * The paths Kong generates for an entity: the collection and its rows, and for each foreign key the rows under their
 * parent and the parent through its child. `entities` are those it may refer to.
 */
export function routesOf(schema: EntitySchema, entities: readonly EntitySchema[]): AdminRoute[] {
  const references = Object.entries(schema.fields).flatMap(([field, definition]) => {
    const parent =
      definition.type === 'foreign' ? entities.find(({ name }) => name === definition.reference) : undefined;
    return parent === undefined ? [] : [{ child: schema, field, parent }];
  });
  return [...topLevelRoutes(schema), ...references.flatMap(nestedRoutes), ...references.flatMap(parentRoutes)];
}
