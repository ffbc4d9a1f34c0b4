import { entity } from '../../../shared/entities/registry.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';

/** The schema of an entity that is known to be there, by its DAO name. */
export function schemaOf(name: string): EntitySchema {
  const schema = entity(name);
  if (schema === undefined) throw new Error(`no entity is named '${name}'`);
  return schema;
}
