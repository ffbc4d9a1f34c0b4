import type { Session } from './database.ts';

/** Records of one data plane, and bytes of them. */
const MOST_OF_ONE = { records: 250_000, bytes: 64 << 20 };
/** Of all together. */
const MOST_OF_ALL = { records: 1_000_000, bytes: 256 << 20 };
/** Milliseconds for which a count is believed, with what was written since. */
const GOOD_FOR = 30_000;

interface Count {
  records: number;
  bytes: number;
  readonly at: number;
}

/** What a data plane may still write. */
export interface Room {
  /** False: there is no room for one more record of so many bytes. */
  take(bytes: number): boolean;
  /** Why. */
  readonly full: string;
}

/** How much room there is for shared records, counted in the database now and then. */
export class RecordRoom {
  readonly #session: Session;
  readonly #counts = new Map<string, Count>();

  constructor(session: Session) {
    this.#session = session;
  }

  async of(node: string): Promise<Room> {
    const own = await this.#count(node, 'node = $1::uuid', [node]);
    const all = await this.#count('', 'true', []);
    return {
      full:
        `there is no room for more shared records: at most ${MOST_OF_ONE.records} of one data plane ` +
        `(${MOST_OF_ONE.bytes >> 20} MB), ${MOST_OF_ALL.records} in all (${MOST_OF_ALL.bytes >> 20} MB) are kept`,
      take(bytes) {
        const fits = (count: Count, most: { records: number; bytes: number }) =>
          count.records < most.records && count.bytes + bytes <= most.bytes;
        if (!fits(own, MOST_OF_ONE) || !fits(all, MOST_OF_ALL)) return false;
        for (const count of [own, all]) {
          count.records++;
          count.bytes += bytes;
        }
        return true;
      },
    };
  }

  async #count(name: string, condition: string, values: readonly string[]): Promise<Count> {
    const known = this.#counts.get(name);
    if (known !== undefined && Math.abs(Date.now() - known.at) < GOOD_FOR) return known;
    const [row] = await this.#session.query(
      `SELECT count(*)::double precision AS records, coalesce(sum(pg_column_size(value)), 0)::double precision AS bytes
       FROM shared_records WHERE ${condition}`,
      values,
    );
    for (const [other, { at }] of this.#counts) if (Math.abs(Date.now() - at) >= GOOD_FOR) this.#counts.delete(other);
    const count = { records: Number(row?.records), bytes: Number(row?.bytes), at: Date.now() };
    this.#counts.set(name, count);
    return count;
  }
}

/** Forgets what has ended, and deletions that every data plane which is not started anew has heard of. */
export async function purgeRecords(session: Session): Promise<void> {
  await session.query(
    `DELETE FROM shared_records WHERE (collection, key) IN (
       SELECT collection, key FROM shared_records WHERE expires_at <= now() LIMIT 5000 FOR UPDATE SKIP LOCKED)`,
  );
  await session.query(
    `WITH gone AS (DELETE FROM shared_records WHERE (collection, key) IN (
        SELECT collection, key FROM shared_records WHERE value IS NULL AND changed_at < now() - interval '1 day'
        ORDER BY number LIMIT 5000 FOR UPDATE SKIP LOCKED) RETURNING number)
     UPDATE config_serial SET records_floor = greatest(records_floor, (SELECT max(number) FROM gone))
     WHERE EXISTS (SELECT FROM gone)`,
  );
}
