import { entities, entity } from '../../../shared/entities/registry.ts';
import type { AdminRoute } from '../route.ts';
import { nestedRoutes } from './nested.ts';
import { parentRoutes } from './parent.ts';
import { topLevelRoutes } from './top-level.ts';

/**
 * The paths Kong generates for its entities: each collection and its rows, and for each foreign key the children
 * under their parent and the parent through its child. An entity added to the registry has them all.
 */
export function generatedRoutes(): AdminRoute[] {
  return entities
    .filter((schema) => schema.generate_admin_api !== false)
    .flatMap((schema) => {
      const references = Object.entries(schema.fields).flatMap(([field, definition]) => {
        const parent = definition.type === 'foreign' ? entity(definition.reference) : undefined;
        return parent === undefined ? [] : [{ child: schema, field, parent }];
      });
      return [...topLevelRoutes(schema), ...references.flatMap(nestedRoutes), ...references.flatMap(parentRoutes)];
    });
}
