import { entities } from '../../shared/entities/registry.ts';
import { workspaces } from '../../shared/entities/workspaces.ts';
import { plugins } from '../../shared/plugins/registry.ts';
import type { Schemas } from './catalog.ts';

/** The project's entities, as the store keeps them. */
export const schemas: Schemas = {
  // Every other table refers to this one.
  entities: [workspaces, ...entities.filter(({ name }) => name !== workspaces.name)],
  subschema: (entity, key) => (entity === 'plugins' ? plugins.get(key) : undefined),
};
