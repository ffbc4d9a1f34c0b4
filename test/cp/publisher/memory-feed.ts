import type { Change, ChangeFeed } from '../../../cp/store/store.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';

type Operation = readonly ['put', string, BundleRow] | readonly ['delete', string, string];

/** A change feed over rows in memory, with the database's promises and ways to break them. */
export class MemoryFeed implements ChangeFeed {
  tables = new Map<string, Map<string, BundleRow>>();
  log: Change[] = [];
  at = 0;
  /** Thrown by every read while set. */
  failure: Error | null = null;
  /** The log does not reach back below this. */
  oldest = 0;
  loads = 0;
  readonly #subscribers = new Set<() => void>();

  /** One transaction. */
  write(...operations: readonly Operation[]): void {
    this.at++;
    for (const operation of operations) {
      const rows = this.tables.get(operation[1]) ?? new Map<string, BundleRow>();
      this.tables.set(operation[1], rows);
      if (operation[0] === 'put') {
        const [, entity, row] = operation;
        this.log.push({ serial: this.at, entity, id: row.id, operation: rows.has(row.id) ? 'update' : 'create' });
        rows.set(row.id, row);
      } else {
        const [, entity, id] = operation;
        this.log.push({ serial: this.at, entity, id, operation: 'delete' });
        rows.delete(id);
      }
    }
    for (const subscriber of this.#subscribers) subscriber();
  }

  put(entity: string, ...rows: readonly BundleRow[]): void {
    this.write(...rows.map((row) => ['put', entity, row] as const));
  }

  async serial() {
    return this.at;
  }

  async delta(serial: number) {
    if (this.failure !== null) throw this.failure;
    if (serial < this.oldest || serial > this.at) return null;
    const changes = this.log.filter((change) => change.serial > serial);
    const rows = new Map<string, BundleRow[]>();
    for (const entity of new Set(changes.map((change) => change.entity))) {
      const ids = new Set(changes.filter((change) => change.entity === entity).map((change) => change.id));
      rows.set(
        entity,
        [...(this.tables.get(entity)?.values() ?? [])].filter((row) => ids.has(row.id)),
      );
    }
    return { serial: this.at, changes, rows };
  }

  async snapshot(entities: readonly string[]) {
    if (this.failure !== null) throw this.failure;
    this.loads++;
    const rows = entities.flatMap((entity) =>
      [...(this.tables.get(entity)?.values() ?? [])].map((row) => ({ entity, row })),
    );
    async function* each() {
      yield* rows;
    }
    return { serial: this.at, rows: each() };
  }

  async advanceTo(serial: number) {
    this.at = Math.max(this.at, serial) + 1;
  }

  subscribe(onChange: () => void) {
    this.#subscribers.add(onChange);
    return () => this.#subscribers.delete(onChange);
  }
}
