import type { BundleRow } from '../../shared/bundle/format.ts';
import type { Requirement } from '../../shared/cluster/need.ts';
import { requirements } from '../../shared/cluster/requirements.ts';

/** A published row that a runtime cannot honour, with the reason. */
export interface Conflict {
  readonly entity: string;
  readonly id: string;
  readonly name: string | null;
  readonly capability: string;
  readonly reason: string;
}

/** The published rows that ask for more than every runtime can do: few, however large the config is. */
export class Demands {
  readonly #rows = new Map<string, Map<string, { name: string | null; required: readonly Requirement[] }>>();

  remove(table: string, rows: readonly BundleRow[]): void {
    const demanding = this.#rows.get(table);
    if (demanding !== undefined) for (const row of rows) demanding.delete(row.id);
  }

  add(table: string, rows: readonly BundleRow[]): void {
    for (const row of rows) {
      const required = requirements(table, row);
      if (required.length === 0) continue;
      const demanding = this.#rows.get(table) ?? new Map();
      this.#rows.set(table, demanding.set(row.id, { name: typeof row.name === 'string' ? row.name : null, required }));
    }
  }

  /** What a runtime with these capabilities cannot honour. */
  conflicts(capabilities: readonly string[]): readonly Conflict[] {
    const present = new Set(capabilities);
    const conflicts: Conflict[] = [];
    for (const [entity, rows] of this.#rows) {
      for (const [id, { name, required }] of rows) {
        for (const { capability, reason } of required) {
          if (!present.has(capability)) conflicts.push({ entity, id, name, capability, reason });
        }
      }
    }
    return conflicts;
  }
}
