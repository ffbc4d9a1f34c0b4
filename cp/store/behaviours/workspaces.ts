import { operationUnsupported, schemaViolation } from '../../../shared/schema/errors.ts';
import { DEFAULT_WORKSPACE } from '../../../shared/workspace.ts';
import type { Behaviour } from './behaviour.ts';

/** Paths without a workspace mean the default one, so it stays, under its name. */
export const workspaces: Behaviour = {
  async beforeWrite(row) {
    if (row.id === DEFAULT_WORKSPACE.id && row.name !== DEFAULT_WORKSPACE.name) {
      throw schemaViolation({ name: 'the default workspace cannot be renamed' });
    }
    return row;
  },
  async beforeDelete(id) {
    if (id === DEFAULT_WORKSPACE.id) throw operationUnsupported("cannot remove the 'default' workspace");
  },
};
