import type { NodeRegistry, NodeSummary, StoredRelease } from '../store/store.ts';
import { sharesOf } from './rings.ts';

/** Data planes of a group: those that are to have a release, and how they take it, and those that are not. */
export interface Standing {
  /** How many of the ring's have it. */
  readonly has: number;
  readonly refusals: readonly NodeSummary[];
  /** Ids: of those that are to have it for all requests, for a part of them, and for none. */
  readonly ring: readonly string[];
  readonly split: readonly string[];
  readonly others: readonly string[];
  /** Names of those that are to have it for a part of their requests and cannot split them; they are among the others. */
  readonly unable: readonly string[];
}

/** How the data planes that are to have a release stand to it: of this and of all other control planes. */
export async function standingOf(registry: NodeRegistry, release: StoredRelease): Promise<Standing> {
  const shareOf = sharesOf(release.id, release.rings, release.ring);
  let has = 0;
  const refusals: NodeSummary[] = [];
  const [ring, split, others, unable]: [string[], string[], string[], string[]] = [[], [], [], []];
  let offset: string | undefined;
  do {
    const page = await registry.page({ size: 1000, ...(offset !== undefined && { offset }) });
    for (const node of page.nodes) {
      if (!node.connected || node.group !== release.group) continue;
      const labels = Object.fromEntries(Object.entries(node.labels).map(([name, value]) => [name, String(value)]));
      const share = shareOf({ id: node.id, labels, capabilities: node.capabilities });
      if (share === 'unable') unable.push(node.hostname);
      if (share === 'none' || share === 'unable') {
        others.push(node.id);
        continue;
      }
      (share === 'all' ? ring : split).push(node.id);
      if (node.reason !== null) refusals.push(node);
      else if ((node.serial ?? 0) >= release.serial) has++;
    }
    offset = page.offset;
  } while (offset !== undefined);
  return { has, refusals, ring, split, others, unable };
}
