import { isDeepStrictEqual } from 'node:util';
import type { ParsedConfig } from '../../shared/declarative/parse.ts';
import { type EntityChange, fieldsOf, nameOf } from '../releases/diff.ts';
import type { Catalog } from '../store/catalog.ts';
import type { Workspace } from '../store/store.ts';
import { importConfig } from './import.ts';

/** Takes everything back that was done to find out what an import would do. */
class OnlyAsking extends Error {
  readonly changes: readonly EntityChange[];
  constructor(changes: readonly EntityChange[]) {
    super('nothing is kept of a comparison');
    this.changes = changes;
  }
}

/**
 * What importing a parsed config would create and change, by doing it and taking it back: defaults, ids and clashes are those of the
 * import itself. Nothing is written, no serial is used. Throws as `importConfig` does.
 */
export async function diffConfig(
  workspace: Workspace,
  config: ParsedConfig,
  catalog: Catalog,
): Promise<readonly EntityChange[]> {
  try {
    await workspace.transaction(async (inside) => {
      const changes: EntityChange[] = [];
      await importConfig(inside, config, {
        mode: 'upsert',
        catalog,
        isQuestion: true,
        onStart: () => changes.splice(0),
        onRow(entity, row, stored) {
          const named = { entity, id: String(row.id), name: nameOf(row) };
          if (stored === null) changes.push({ ...named, operation: 'create' });
          else if (!isDeepStrictEqual(stored, row)) {
            const fields = fieldsOf(entity, stored, row);
            if (Object.keys(fields).length > 0) changes.push({ ...named, operation: 'update', fields });
          }
        },
      });
      throw new OnlyAsking(changes);
    });
  } catch (error) {
    if (error instanceof OnlyAsking) return error.changes;
    throw error;
  }
  return [];
}
