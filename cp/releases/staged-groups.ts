import type { Manifest, ObjectName } from '../../shared/bundle/format.ts';
import { LIMITS } from '../../shared/bundle/format.ts';
import { gunzip, parseTableIndex } from '../../shared/bundle/object.ts';
import { tablesIn } from '../../shared/bundle/split.ts';
import type { Release } from '../publisher/publisher.ts';
import type { Shelf, ShelfUser } from '../publisher/shelf.ts';
import type { ReleaseStore, StoredRelease } from '../store/store.ts';
import { partsOf, type RingNode, type Share, sharesOf } from './rings.ts';
import type { Traffic } from './traffic.ts';

/** A release that is on its way to the data planes of some rings. */
interface Candidate {
  readonly stored: StoredRelease;
  release: Release;
  /** For data planes that have it for so many percent of their requests, and what all get for the others. */
  readonly parts: Map<number, Release>;
  readonly shareOf: (node: RingNode) => Share;
}

interface StagedGroup {
  readonly live: StoredRelease;
  release: Release;
  readonly candidate: Candidate | null;
}

interface StagedGroupsOptions {
  readonly store: ReleaseStore;
  readonly shelf: Shelf;
  readonly sign: (serial: number, content: Manifest) => Promise<Release>;
  readonly log: (level: 'info' | 'warn', message: string) => void;
}

/**
 * What groups with `publish = release` are given: what the database says was released to them. It follows the database on every
 * round of the publisher, which every step of a release wakes.
 */
export class StagedGroups {
  readonly #options: StagedGroupsOptions;
  readonly #groups = new Map<string, StagedGroup>();
  /** Of each, what it would get if it were released now. */
  readonly #newest = new Map<string, Manifest>();
  #open: readonly StoredRelease[] = [];
  #asked = false;

  constructor(options: StagedGroupsOptions) {
    this.#options = options;
  }

  /** What is written, as data planes of a group would get it; undefined: it does not hold together, or the group is not staged. */
  newest(group: string): Manifest | undefined {
    return this.#newest.get(group);
  }

  note(group: string, content: Manifest | null): void {
    if (content === null) this.#newest.delete(group);
    else this.#newest.set(group, content);
  }

  live(group: string): StoredRelease | null {
    return this.#groups.get(group)?.live ?? null;
  }

  /** Whether something is written that no release of the group has. */
  isPending(group: string): boolean {
    const live = this.live(group);
    return live !== null && live.content.config_hash !== this.#newest.get(group)?.config_hash;
  }

  /** What a data plane of a group gets; null: the group is not staged, or was never given anything. */
  release(group: string, node: RingNode | null): Release | null {
    const staged = this.#groups.get(group);
    if (staged === undefined) return null;
    const { candidate } = staged;
    const share = node === null || candidate === null ? 'none' : candidate.shareOf(node);
    if (share === 'all') return candidate?.release ?? null;
    return (typeof share === 'string' ? undefined : candidate?.parts.get(share.percent)) ?? staged.release;
  }

  /** Those that are on their way, or will be. */
  get open(): readonly StoredRelease[] {
    return this.#open;
  }

  /** Whose objects are in use. */
  *users(): Iterable<ShelfUser> {
    yield* this.releases();
  }

  /** Puts a manifest signed anew in the place of one of these. */
  replace(before: Release, after: Release): void {
    for (const staged of this.#groups.values()) {
      if (staged.release === before) staged.release = after;
      if (staged.candidate?.release === before) staged.candidate.release = after;
      for (const [percent, part] of staged.candidate?.parts ?? []) {
        if (part === before) staged.candidate?.parts.set(percent, after);
      }
    }
  }

  /** Every manifest, to be signed anew. */
  releases(): readonly Release[] {
    return [...this.#groups.values()].flatMap(({ release, candidate }) =>
      candidate === null ? [release] : [release, candidate.release, ...candidate.parts.values()],
    );
  }

  /**
   * Follows the database. `groups` are those that are staged, `before` what their data planes have from when they were not.
   * Returns the releases that are new.
   */
  async follow(
    groups: readonly string[],
    reached: number,
    before: (group: string) => Manifest | undefined,
  ): Promise<readonly Release[]> {
    const { store } = this.#options;
    // Nothing of the kind, now or at the last look: only the first one asks the database.
    if (this.#asked && groups.length === 0 && this.#groups.size === 0) return [];
    let rows = await store.current();
    this.#asked = true;
    for (const group of new Set(rows.map((row) => row.group))) {
      const stale = rows.filter((row) => row.group === group);
      // One that this control plane does not know as staged yet is none that it may end.
      if (groups.includes(group) || stale.some(({ seen }) => seen >= reached)) continue;
      await store.end(group, 'the group no longer publishes by releases');
    }
    for (const group of groups) {
      if (rows.some((row) => row.group === group && row.state === 'live')) continue;
      const first = before(group) ?? this.#newest.get(group);
      if (first !== undefined) await this.#begin(group, first, reached);
    }
    if (groups.some((group) => !rows.some((row) => row.group === group && row.state === 'live'))) {
      rows = await store.current();
    }
    this.#open = rows.filter(({ state, group }) => state !== 'live' && groups.includes(group));
    const made: Release[] = [];
    for (const group of [...this.#groups.keys(), ...this.#newest.keys()]) {
      if (groups.includes(group)) continue;
      this.#groups.delete(group);
      this.#newest.delete(group);
    }
    for (const group of groups) {
      const live = rows.find((row) => row.group === group && row.state === 'live');
      if (live !== undefined) made.push(...(await this.#take(live)));
    }
    return made;
  }

  /** What the data planes of a group have is its first release. */
  async #begin(group: string, content: Manifest, reached: number): Promise<void> {
    const { store, shelf } = this.#options;
    const begun = await store.create(
      {
        group,
        state: 'live',
        serial: content.serial,
        upto: content.serial,
        seen: reached,
        content,
        rings: [],
        at: null,
        rollbackTo: null,
        after: null,
        objects: namesIn(shelf, content),
      },
      (name) => shelf.get(name),
    );
    if (typeof begun !== 'string') {
      this.#options.log(
        'info',
        `group '${group}' publishes by releases: its data planes keep serial ${content.serial}`,
      );
    }
  }

  async #take(live: StoredRelease): Promise<readonly Release[]> {
    const known = this.#groups.get(live.group);
    const open = this.#open.find(({ group, state }) => group === live.group && state !== 'scheduled');
    const base = await this.#signed(live, known === undefined ? [] : [known, known.candidate]);
    let candidate: Candidate | null = null;
    if (open !== undefined) {
      const { release } = await this.#signed(open, known === undefined ? [] : [known, known.candidate]);
      const parts = await this.#parts(live, open, known ?? null);
      candidate = { stored: open, release, parts, shareOf: sharesOf(open.id, open.rings, open.ring) };
    }
    this.#groups.set(live.group, { live, release: base.release, candidate });
    return [...(base.isNew ? [base.release] : [])];
  }

  /** What data planes get that have a release for a part of their requests, and what is live for the others. */
  async #parts(live: StoredRelease, open: StoredRelease, known: StagedGroup | null): Promise<Map<number, Release>> {
    const before = known?.candidate ?? null;
    const isSame =
      known?.live.serial === live.serial && before?.stored.id === open.id && before.stored.serial === open.serial;
    if (before !== null && isSame) return before.parts;
    const parts = new Map<number, Release>();
    for (const traffic of partsOf(open.rings, open.ring)) {
      if (parts.has(traffic.percent)) continue;
      const content = splitContent(live, open, traffic);
      const release = await this.#options.sign(open.serial, content);
      await this.#claim(content, release);
      parts.set(traffic.percent, release);
    }
    return parts;
  }

  /** The manifest of a release: one that is there, when the release is as it was, or a new one. */
  async #signed(
    stored: StoredRelease,
    known: readonly ({
      readonly release: Release;
      readonly live?: StoredRelease;
      readonly stored?: StoredRelease;
    } | null)[],
  ): Promise<{ readonly release: Release; readonly isNew: boolean }> {
    for (const one of known) {
      const of = one?.live ?? one?.stored;
      if (one !== null && of?.id === stored.id && of.serial === stored.serial)
        return { release: one.release, isNew: false };
    }
    const release = await this.#options.sign(stored.serial, stored.content);
    await this.#claim(stored.content, release);
    return { release, isNew: true };
  }

  /** Has data planes find what a manifest leads to here, for some minutes, though none is given it. */
  async lend(manifest: Manifest): Promise<void> {
    const { shelf } = this.#options;
    const borrower = {};
    await this.#claim(manifest, borrower);
    for (const name of namesIn(shelf, manifest)) shelf.retire(name, borrower, Date.now());
  }

  /** Has everything that a manifest leads to on the shelf: it is there, or the database has it. */
  async #claim(manifest: Manifest, user: ShelfUser): Promise<void> {
    const { shelf } = this.#options;
    const indexes = [...new Set([...tablesIn(manifest)].map(([, { index }]) => index))];
    await this.#fetch(
      indexes.filter((name) => !shelf.claim(name, user)),
      user,
      tableOf(manifest),
    );
    const objects = indexes.flatMap((name) => shelf.references(name) ?? []).flatMap((ref) => ref?.name ?? []);
    await this.#fetch(
      [...new Set(objects)].filter((name) => !shelf.claim(name, user)),
      user,
      null,
    );
  }

  async #fetch(
    names: readonly ObjectName[],
    user: ShelfUser,
    indexOf: ReadonlyMap<string, string> | null,
  ): Promise<void> {
    if (names.length === 0) return;
    const { store, shelf } = this.#options;
    const found = await store.objects(names);
    if (found.length < names.length) throw new Error(`${names.length - found.length} objects of a release are gone`);
    for (const object of found) {
      const table = indexOf?.get(object.name);
      if (table === undefined) shelf.put(object, user);
      else shelf.put(object, user, parseTableIndex(await gunzip(object.gzip, LIMITS.index), table).objects);
    }
  }
}

/** Everything a manifest leads to, of what is on the shelf. */
export function namesIn(shelf: Shelf, manifest: Manifest): readonly ObjectName[] {
  const names = new Set<ObjectName>();
  for (const { index } of Object.values(manifest.tables)) {
    names.add(index);
    for (const ref of shelf.references(index) ?? []) if (ref !== null) names.add(ref.name);
  }
  return [...names];
}

function tableOf(manifest: Manifest): ReadonlyMap<string, string> {
  return new Map([...tablesIn(manifest)].map(([table, { index }]) => [index, table]));
}

/** What is live, with a release for a part of the requests. */
function splitContent(live: StoredRelease, open: StoredRelease, { percent, by }: Traffic): Manifest {
  const { tables, plugins, config_hash } = open.content;
  const split = {
    release: open.id,
    percent,
    by,
    serial: open.began,
    rest_serial: live.serial,
    config_hash,
    tables,
  };
  return { ...live.content, split, plugins: { ...live.content.plugins, ...plugins } };
}
