import type { NodeRegistry, NodeSummary, StoredRelease } from '../store/store.ts';
import { sharesOf } from './rings.ts';

/** Data planes of a group: those that are to have a release, and how they take it, and those that are not. */
export interface Standing {
  /** How many are to have it, and have it, of those that are connected, and how many left since the ring began. */
  readonly present: number;
  readonly has: number;
  readonly gone: number;
  /** How many of the others left since then. */
  readonly othersGone: number;
  /** Milliseconds that it took the slowest of those that have it; null: none has said so. */
  readonly loadMs: number | null;
  readonly refusals: readonly NodeSummary[];
  /**
   * Ids: of those that are to have it for all requests, for a part of them, and for none. Those that left since the ring began are
   * among them: what they served counts, most of all when it is why they left.
   */
  readonly ring: readonly string[];
  readonly split: readonly string[];
  readonly others: readonly string[];
  /** Names of those that are to have it for a part of their requests and cannot split them; they are among the others. */
  readonly unable: readonly string[];
}

/** Whether one that is not connected was when the ring began, or since. */
function leftSince({ updated_at, last_seen }: NodeSummary, { since }: StoredRelease): boolean {
  return Math.max(updated_at, last_seen) >= Math.floor(since);
}

/**
 * One that came from a later serial, of a database before or of another group, has what was live at a serial above the release's. Who has
 * it for a part of the requests has the hash of what is live, but each such part comes at a serial above all before.
 */
function hasIt({ serial, config_hash: hash }: NodeSummary, release: StoredRelease, wholly: boolean): boolean {
  return serial !== null && serial >= release.serial && (!wholly || hash === release.configHash);
}

/** How the data planes that are to have a release stand to it: of this and of all other control planes. */
export async function standingOf(registry: NodeRegistry, release: StoredRelease): Promise<Standing> {
  const shareOf = sharesOf(release.id, release.rings, release.ring);
  let [present, has, gone, othersGone] = [0, 0, 0, 0];
  let loadMs: number | null = null;
  const refusals: NodeSummary[] = [];
  const [ring, split, others, unable]: [string[], string[], string[], string[]] = [[], [], [], []];
  let offset: string | undefined;
  do {
    const page = await registry.page({ size: 1000, ...(offset !== undefined && { offset }) });
    for (const node of page.nodes) {
      if (node.group !== release.group || !(node.connected || leftSince(node, release))) continue;
      const labels = Object.fromEntries(Object.entries(node.labels).map(([name, value]) => [name, String(value)]));
      const share = shareOf({ id: node.id, labels, capabilities: node.capabilities });
      if (share === 'unable' && node.connected) unable.push(node.hostname);
      if (share === 'none' || share === 'unable') {
        others.push(node.id);
        if (!node.connected) othersGone++;
        continue;
      }
      (share === 'all' ? ring : split).push(node.id);
      if (node.connected) present++;
      else gone++;
      if (node.reason !== null) refusals.push(node);
      else if (node.connected && hasIt(node, release, share === 'all')) {
        has++;
        if (node.load_ms !== null) loadMs = Math.max(loadMs ?? 0, node.load_ms);
      }
    }
    offset = page.offset;
  } while (offset !== undefined);
  return { present, has, gone, othersGone, loadMs, refusals, ring, split, others, unable };
}
