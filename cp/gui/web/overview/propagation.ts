import { isRecord } from '../../../../shared/record.ts';
import { type Author, authorIn } from '../parts/author.ts';

/** How far a change has come. Times are seconds since 1970. */
export interface Propagation {
  readonly serial: number;
  readonly at: number;
  readonly by: Author | null;
  readonly total: number;
  readonly changes: readonly { readonly entity: string; readonly id: string; readonly operation: string }[];
  /** When it was published, by group. */
  readonly published: Readonly<Record<string, number>>;
  /** When each data plane said that it serves it, or (`reason`) why it does not. */
  readonly nodes: Readonly<
    Record<string, { readonly hostname: string; readonly at: number; readonly reason: string | null }>
  >;
}

/** Changes that are remembered. */
const MOST = 20;

/** What is known of the last changes, the newest first, after another event of `GET /events`. */
export function propagated(known: readonly Propagation[], kind: string, told: unknown): readonly Propagation[] {
  if (!isRecord(told) || typeof told.serial !== 'number' || typeof told.at !== 'number') return known;
  const { serial, at, reason, hostname, id, group } = told;
  switch (kind) {
    case 'change': {
      const changes = (Array.isArray(told.changes) ? told.changes : []).filter(isRecord).map((one) => ({
        entity: String(one.entity),
        id: String(one.id),
        operation: String(one.operation),
      }));
      if (known.some((one) => one.serial === serial)) return known;
      const fresh = {
        serial,
        at,
        by: authorIn(told.by),
        total: typeof told.total === 'number' ? told.total : changes.length,
        changes,
        published: {},
        nodes: {},
      };
      return [fresh, ...known].slice(0, MOST);
    }
    case 'published':
      // Writes that follow each other closely are published together.
      return known.map((one) =>
        one.serial > serial || typeof group !== 'string' || group in one.published
          ? one
          : { ...one, published: { ...one.published, [group]: at } },
      );
    case 'node': {
      if (typeof id !== 'string') return known;
      const node = { hostname: typeof hostname === 'string' ? hostname : id, at, reason: null };
      if (told.change === 'applied') {
        return known.map((one) =>
          one.serial > serial || (id in one.nodes && one.nodes[id]?.reason === null)
            ? one
            : { ...one, nodes: { ...one.nodes, [id]: node } },
        );
      }
      if ((told.change === 'rejected' || told.change === 'withheld') && typeof reason === 'string') {
        return known.map((one) =>
          id in one.nodes ? one : { ...one, nodes: { ...one.nodes, [id]: { ...node, reason } } },
        );
      }
      return known;
    }
    default:
      return known;
  }
}

/** Milliseconds from a change to something that came of it; clocks of two machines may differ a little. */
export const after = (change: Pick<Propagation, 'at'>, at: number): number =>
  Math.max(0, Math.round((at - change.at) * 1000));
