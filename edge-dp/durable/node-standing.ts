import type { CachedManifest } from '../config/cache.ts';
import { versionOf } from '../config/node.ts';
import { isSignedBy, type Membership, type VerifiedManifest } from '../config/trust.ts';
import { InTurn } from './in-turn.ts';

/** What must survive a restart, kept apart from the cache so that a cache that was replaced by an older one is noticed. */
interface KeptStanding {
  readonly cluster: string | null;
  readonly highestSerial: number | null;
  readonly group: string | null;
  readonly version: string | null;
}

const STANDING = 'standing';

const NOTHING_YET: KeptStanding = { cluster: null, highestSerial: null, group: null, version: null };

interface NodeStandingOptions {
  readonly storage: DurableObjectStorage;
  /** May the manifest itself be kept there? */
  readonly keepsManifest: boolean;
  readonly log: (level: 'notice' | 'warn', message: string) => void;
}

/** Which config a node has taken, of which cluster and group it is: nothing older is ever taken, and nothing of others. */
export class NodeStanding {
  readonly #options: NodeStandingOptions;
  #kept: KeptStanding = NOTHING_YET;
  #newest: CachedManifest | null = null;
  /** What is kept is written whole: one after the other, or it would be written over with what was before. */
  readonly #once = new InTurn();

  constructor(options: NodeStandingOptions) {
    this.#options = options;
  }

  /** `cluster`: the one that the node's keys are of, where they say so. */
  async restore(cluster: string | null): Promise<void> {
    const { storage } = this.#options;
    this.#kept = { ...NOTHING_YET, ...(await storage.get<KeptStanding>(STANDING)) };
    const manifest = await storage.get<string>('manifest');
    const introductions = await storage.get<readonly string[]>('introductions');
    if (manifest !== undefined) this.#newest = { manifest, introductions: introductions ?? [] };
    this.#leaveOther(cluster);
  }

  /** The node was given the keys of another cluster: that one's serials have nothing to do with those applied so far. */
  #leaveOther(cluster: string | null): void {
    const before = this.#kept.cluster;
    if (cluster === null || before === null || before === cluster) return;
    this.#options.log('warn', `this node belonged to cluster ${before} and belongs to cluster ${cluster} now`);
    this.#kept = NOTHING_YET;
    this.#newest = null;
  }

  get membership(): Omit<Membership, 'statements'> {
    const { cluster, highestSerial, group } = this.#kept;
    return { cluster, highestSerial, group };
  }

  get version(): string | null {
    return this.#kept.version;
  }

  /** The manifest taken last; null: none. */
  get newest(): CachedManifest | null {
    return this.#newest;
  }

  /** From here on only manifests of this group are taken; the one there is serves until the first comes. */
  assign(group: string): Promise<void> {
    return this.#once.run(STANDING, async () => {
      const before = this.#kept.group;
      if (group === before) return;
      this.#options.log(
        'notice',
        `this node is of group '${group}'${before === null ? '' : `, no more of '${before}'`}`,
      );
      this.#kept = { ...this.#kept, group };
      await this.#options.storage.put(STANDING, this.#kept);
    });
  }

  /** Serials of a key that was stolen are its thief's: what it signed holds nobody above this one. */
  disown(revoked: Parameters<typeof isSignedBy>[1], serial: number): Promise<void> {
    return this.#once.run(STANDING, async () => {
      if (this.#newest === null || !isSignedBy(this.#newest.manifest, revoked)) return;
      const kept = { ...this.#kept, highestSerial: Math.min(this.#kept.highestSerial ?? serial, serial) };
      await this.#options.storage.put(STANDING, kept);
      this.#kept = kept;
    });
  }

  /** After the cache and before any request: from here on nothing older is taken. */
  remember({ manifest, introductions, content }: VerifiedManifest): Promise<void> {
    return this.#once.run(STANDING, async () => {
      const { group } = this.#kept;
      const kept = { cluster: content.cluster, highestSerial: content.serial, group, version: versionOf(content) };
      await this.#options.storage.put({
        [STANDING]: kept,
        ...(this.#options.keepsManifest ? { manifest, introductions } : {}),
      });
      this.#kept = kept;
      this.#newest = { manifest, introductions };
    });
  }
}
