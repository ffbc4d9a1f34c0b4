import type { DataPlaneRecord } from '../../../admin/cluster/cluster-view.ts';

/** How a data plane stands to the newest config of its group. */
export type NodeState = 'live' | 'late' | 'refused' | 'gone' | 'empty';

/** What the states are called and what they mean. */
export const STATES: Readonly<
  Record<NodeState, { readonly label: string; readonly color: string; readonly meaning: string }>
> = {
  live: { label: 'Live', color: 'teal', meaning: 'connected, with the newest config of its group' },
  late: { label: 'Late', color: 'yellow', meaning: 'connected, with an older config' },
  refused: {
    label: 'Refused',
    color: 'red',
    meaning: 'keeps an older config: the newest was refused by it or withheld from it',
  },
  gone: { label: 'Gone', color: 'gray', meaning: 'not connected; serves what it had' },
  empty: { label: 'Empty', color: 'yellow', meaning: 'connected, and has no config yet' },
};

type Seen = Pick<DataPlaneRecord, 'state' | 'serial' | 'rejection_reason' | 'sync_status'>;

/** `newest` is the serial of what its group is given; null: nothing yet. */
export function stateOf(node: Seen, newest: number | null): NodeState {
  if (node.state === 'disconnected') return 'gone';
  if (node.rejection_reason !== null || node.sync_status.endsWith('_incompatible')) return 'refused';
  if (node.serial === null) return newest === null ? 'empty' : 'late';
  return newest !== null && node.serial < newest ? 'late' : 'live';
}

/** How many serials it is behind; null: it has none, or there is nothing to have. */
export function lagOf(node: Pick<Seen, 'serial'>, newest: number | null): number | null {
  return node.serial === null || newest === null ? null : Math.max(0, newest - node.serial);
}

/** A data plane beside what can be said of it. */
export interface NodeRow {
  readonly node: DataPlaneRecord;
  readonly state: NodeState;
  readonly lag: number | null;
  /** Of the last hour, as far as it told: share of 5xx from 0 to 1, and milliseconds. */
  readonly traffic: { readonly share5xx: number; readonly p99: number | null } | null;
}

export function rowsOf(
  nodes: readonly DataPlaneRecord[],
  groups: readonly { readonly name: string; readonly serial: number | null }[],
  traffic: ReadonlyMap<string, NonNullable<NodeRow['traffic']>> = new Map(),
): readonly NodeRow[] {
  const newest = new Map(groups.map(({ name, serial }) => [name, serial]));
  return nodes.map((node) => {
    const serial = newest.get(node.group) ?? null;
    return { node, state: stateOf(node, serial), lag: lagOf(node, serial), traffic: traffic.get(node.id) ?? null };
  });
}

/** Columns rows can be sorted by. */
export type SortKey = 'hostname' | 'state' | 'group' | 'version' | 'serial' | 'last_seen' | 'p99' | 'share5xx';

/** The states by how soon they need somebody. */
const URGENCY: readonly NodeState[] = ['refused', 'late', 'empty', 'gone', 'live'];

export function sorted(rows: readonly NodeRow[], by: SortKey, descending: boolean): readonly NodeRow[] {
  const collator = new Intl.Collator('en', { numeric: true });
  const compare: Readonly<Record<SortKey, (a: NodeRow, b: NodeRow) => number>> = {
    hostname: (a, b) => collator.compare(a.node.hostname, b.node.hostname),
    state: (a, b) => URGENCY.indexOf(a.state) - URGENCY.indexOf(b.state),
    group: (a, b) => collator.compare(a.node.group, b.node.group),
    version: (a, b) => collator.compare(a.node.version ?? '', b.node.version ?? ''),
    serial: (a, b) => (a.node.serial ?? -1) - (b.node.serial ?? -1),
    last_seen: (a, b) => a.node.last_seen - b.node.last_seen,
    p99: (a, b) => (a.traffic?.p99 ?? -1) - (b.traffic?.p99 ?? -1),
    share5xx: (a, b) => (a.traffic?.share5xx ?? -1) - (b.traffic?.share5xx ?? -1),
  };
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => sign * compare[by](a, b) || collator.compare(a.node.id, b.node.id));
}

/**
 * Rows that fit words, each of which must be found: `name=value` is a label, `name=` one with any value, anything else part of hostname, id, address,
 * version, group or a label.
 */
export function filtered(rows: readonly NodeRow[], words: string, state: NodeState | null): readonly NodeRow[] {
  const wanted = words
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return rows.filter((row) => (state === null || row.state === state) && wanted.every((word) => fits(row.node, word)));
}

function fits(node: DataPlaneRecord, word: string): boolean {
  const labels = Object.entries(node.labels ?? {}).map(([name, value]) => `${name}=${value}`.toLowerCase());
  const isLabel = word.includes('=');
  if (isLabel) return labels.some((label) => (word.endsWith('=') ? label.startsWith(word) : label === word));
  const texts = [node.hostname, node.id, node.ip, node.version ?? '', node.group, ...labels];
  return texts.some((text) => text.toLowerCase().includes(word));
}
