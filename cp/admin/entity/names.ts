import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';

/** Path segment of an entity's collection: `key-auths`. */
export const collectionName = (schema: EntitySchema): string => schema.admin_api_name ?? schema.name;

/** Path segment under a parent: `key-auth` in `/consumers/{consumers}/key-auth`. */
export const nestedName = (schema: EntitySchema): string =>
  schema.admin_api_nested_name ?? schema.admin_api_name ?? schema.name;

/** A reference from `child.field` to `parent`, the source of nested paths. */
export interface Reference {
  readonly child: EntitySchema;
  readonly field: string;
  readonly parent: EntitySchema;
}
