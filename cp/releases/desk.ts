import type { Manifest, PackedObject } from '../../shared/bundle/format.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Publisher } from '../publisher/publisher.ts';
import { writingAlone } from '../store/author.ts';
import type {
  NewRelease,
  NodeRegistry,
  ReleasedWrite,
  ReleaseStep,
  ReleaseStore,
  StoredRelease,
  Workspace,
} from '../store/store.ts';
import type { ServedSides, TelemetryHistory } from '../telemetry/history.ts';
import { differences, type EntityChange, objectsIn } from './diff.ts';
import { releaseDocument } from './document.ts';
import { faultIn, figuresOf, judgesRequests, lossIn, missingRequests, type ServedFigures } from './gates.ts';
import type { Ring } from './rings.ts';
import { type Standing, standingOf } from './standing.ts';

/** What is written and not released to a group. */
interface Pending {
  /** Of the config with it. */
  readonly configHash: string;
  readonly changes: readonly EntityChange[];
}

/** Why a release cannot be made, or moved on, as things are. */
export class ReleaseConflict extends Error {}

interface DeskOptions {
  readonly publisher: Publisher;
  readonly store: ReleaseStore;
  readonly registry: NodeRegistry;
  readonly telemetry: Pick<TelemetryHistory, 'sides'>;
  readonly log: (level: 'info' | 'notice' | 'warn' | 'error', message: string) => void;
  /** Milliseconds between looks at releases that are on their way. */
  readonly interval?: number;
  /** Milliseconds that data planes of a ring which left have to come back. */
  readonly patience?: number;
}

const INTERVAL = 1_000;
/** More than one takes to be replaced by another, and than all need to find a control plane again (`LONGEST_PAUSE` of theirs). */
const PATIENCE = 90_000;
/** Data planes that are named in one reason. */
const MOST_NAMED = 3;

/** Makes releases, and moves them on: by people's orders, and by the clock. Every control plane has one; the database lets one act. */
export class ReleaseDesk {
  readonly #options: DeskOptions;
  readonly #timer: NodeJS.Timeout;
  #looking = false;
  #complaint = '';
  /** Of each release at a ring, what was told last of those that cannot have it. */
  readonly #unable = new Map<string, string>();
  /** Of each release that has lost too many at its ring, since when this process sees it without a break, by `performance.now()`. */
  readonly #lost = new Map<string, { readonly stay: string; readonly since: number }>();

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void writingAlone('releases', () => this.#look()), options.interval ?? INTERVAL);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get(id: string): Promise<StoredRelease | null> {
    return this.#options.store.get(id);
  }

  page(query: Parameters<ReleaseStore['page']>[0]): ReturnType<ReleaseStore['page']> {
    return this.#options.store.page(query);
  }

  /** What is written and not released to a group; null: it publishes at once. */
  async pending(group: string): Promise<Pending | null> {
    const { publisher } = this.#options;
    await publisher.flush();
    const live = publisher.staged?.live(group);
    if (live == null) return null;
    const newest = this.#newest(group);
    const changes = await differences(live.content, newest, (name) => this.#object(name));
    return { configHash: newest.config_hash, changes };
  }

  /**
   * What data planes of a group would get if it were released now; null: the group publishes at once. Throws `ReleaseConflict` where
   * nothing is pending, or what is written does not hold together.
   */
  async candidate(group: string): Promise<Manifest | null> {
    const { publisher } = this.#options;
    await publisher.flush();
    const live = publisher.staged?.live(group);
    if (live == null) return null;
    return this.#pending(live);
  }

  /** What a release does to the data planes of its group: that which differs from the one that is live. */
  async changes(release: StoredRelease): Promise<readonly EntityChange[]> {
    const now = this.#given(release.group);
    return now === null ? [] : differences(now, release.content, (name) => this.#object(name));
  }

  /** What a data plane would get that goes from one release to another, which may be of another group. */
  between(from: StoredRelease, to: StoredRelease): Promise<readonly EntityChange[]> {
    return differences(from.content, to.content, (name) => this.#object(name));
  }

  /** From which writes a release is; null: that is no longer known. */
  writes(release: StoredRelease): Promise<readonly ReleasedWrite[] | null> {
    return this.#options.store.writes(release);
  }

  /** What a release had, as a declarative document in YAML for a workspace, secrets included. */
  document(release: StoredRelease, workspace: Workspace): Promise<string> {
    return releaseDocument(release, workspace, (name) => this.#object(name));
  }

  /** Has data planes find what a manifest leads to, for some minutes, though none is given it. */
  async lend(content: Manifest): Promise<void> {
    await this.#options.publisher.staged?.lend(content);
  }

  /** What data planes of a group are given; null: nothing yet. */
  #given(group: string): Manifest | null {
    const { publisher } = this.#options;
    return publisher.staged?.live(group)?.content ?? publisher.release(group)?.manifest ?? null;
  }

  /**
   * Freezes what is pending, and begins with it, or lets it begin at a time. `seen`: the `configHash` of what somebody has looked at, who
   * wants that and nothing else. Throws `ReleaseConflict`.
   */
  async create(
    group: string,
    rings: readonly Ring[],
    at: number | null,
    seen: string | null = null,
  ): Promise<StoredRelease> {
    const { publisher } = this.#options;
    await publisher.flush();
    const live = this.#live(group);
    const newest = this.#pending(live);
    if (seen !== null && seen !== newest.config_hash) {
      throw new ReleaseConflict(
        `what is pending for group '${group}' is something else than was seen: look at it again`,
      );
    }
    return this.#write(newest, { after: live.id, upto: newest.serial, rings, at, rollbackTo: null });
  }

  /**
   * Brings back what a release had, under a new serial. A group that is given things at once publishes by releases from then on, or
   * the next write would undo it. Throws `ReleaseConflict`.
   */
  async rollback(release: StoredRelease, workspace: Workspace): Promise<StoredRelease> {
    const { publisher, log } = this.#options;
    const { group, content } = release;
    // Another control plane may just have given the group something else.
    await publisher.flush();
    if (!publisher.groups().includes(group)) throw new ReleaseConflict(`there is no group '${group}' any more`);
    if (this.#given(group)?.config_hash === content.config_hash) {
      throw new ReleaseConflict(`the data planes of group '${group}' get what this release has already`);
    }
    if (publisher.staged?.live(group) == null) {
      await stage(workspace, group);
      log(
        'notice',
        `group '${group}' publishes by releases from now on, since release ${release.id} is brought back to it`,
      );
      await publisher.flush();
    }
    const after = this.#live(group).id;
    return this.#write(content, { after, upto: release.upto, rings: [], at: null, rollbackTo: release.id });
  }

  /**
   * Moves a release on by somebody's order, who may say at which ring it was seen (null: at none). Throws `ReleaseConflict` when that does
   * not go from where it is.
   */
  async order(
    release: StoredRelease,
    order: 'promote' | 'pause' | 'resume' | 'abort',
    seenAt: number | null | undefined = undefined,
  ): Promise<StoredRelease> {
    const ring = ringOf(release);
    if (seenAt !== undefined && seenAt !== ring) {
      const where = ring === null ? release.state : `${release.state} at ring ${ring}`;
      throw new ReleaseConflict(
        `the release moved on meanwhile: it is ${where}, and was seen at ${seenAt === null ? 'no ring' : `ring ${seenAt}`}`,
      );
    }
    const step = stepFor(release, order);
    if (step === null) throw new ReleaseConflict(`a release that is ${release.state} cannot be told to ${order}`);
    const moved = await this.#step(release, step);
    if (moved === null) throw new ReleaseConflict('the release moved on meanwhile: look at it again');
    return moved;
  }

  async #write(
    content: Manifest,
    of: Pick<NewRelease, 'after' | 'upto' | 'rings' | 'at' | 'rollbackTo'>,
  ): Promise<StoredRelease> {
    const { store, publisher, log } = this.#options;
    const { group } = content;
    const objects = new Map<string, PackedObject>();
    for (const name of await this.#namesOf(content)) objects.set(name, await this.#object(name));
    const state = of.at !== null ? 'scheduled' : of.rings.length > 0 ? 'rolling' : 'live';
    const release = await store.create(
      { ...of, group, state, serial: null, seen: publisher.serial(), content, objects: [...objects.keys()] },
      (name) => objects.get(name),
    );
    if (release === 'on its way')
      throw new ReleaseConflict(`another release of group '${group}' is on its way: abort it, or wait`);
    if (release === 'moved on')
      throw new ReleaseConflict(`the data planes of group '${group}' were given another release meanwhile: look again`);
    log('notice', `release ${release.id} of group '${group}' is ${told(release)}`);
    await publisher.flush();
    return release;
  }

  async #namesOf(content: Manifest): Promise<readonly string[]> {
    const names = new Set<string>();
    for (const [table, { index }] of Object.entries(content.tables)) {
      names.add(index);
      for (const name of (await objectsIn(table, index, (one) => this.#object(one))).keys()) names.add(name);
    }
    return [...names];
  }

  async #step(release: StoredRelease, step: ReleaseStep): Promise<StoredRelease | null> {
    const { store, publisher, log } = this.#options;
    const moved = await store.step(release, step);
    if (moved === null) return null;
    if (moved.state !== 'rolling') this.#unable.delete(moved.id);
    this.#lost.delete(moved.id);
    const level = moved.state === 'aborted' && moved.reason !== ABORTED ? 'error' : 'notice';
    log(level, `release ${moved.id} of group '${moved.group}' is ${told(moved)}`);
    await publisher.flush();
    return moved;
  }

  /** Looks at what is on its way, by the database's clock. Never throws. */
  async #look(): Promise<void> {
    const { publisher, store, log } = this.#options;
    if (this.#looking || (publisher.staged?.open.length ?? 0) === 0) return;
    this.#looking = true;
    try {
      for (const release of await store.current()) {
        const step = await this.#due(release);
        if (step !== null) await this.#step(release, step);
      }
      this.#complaint = '';
    } catch (error) {
      const message = messageOf(error);
      if (message !== this.#complaint) log('error', `releases cannot be moved on: ${message}`);
      this.#complaint = message;
    } finally {
      this.#looking = false;
    }
  }

  async #due(release: StoredRelease): Promise<ReleaseStep | null> {
    const { state, rings, ring, isDue, age } = release;
    if (state === 'scheduled') return isDue ? begin(release) : null;
    if (state !== 'rolling') return null;
    // The database's clock went back, as with another server: its hold would last so much longer, and no request be of its time.
    if (age < 0) return { state, ring, reason: null };
    const standing = await standingOf(this.#options.registry, release);
    this.#tellUnable(release, standing.unable);
    const { has, refusals } = standing;
    const gates = rings[ring]?.gates;
    if (gates === undefined) return { state: 'live', ring, reason: null };
    if (refusals.length > gates.max_nack) {
      const named = inWords(
        refusals.map((node) => `${node.hostname}: ${node.reason}`),
        '; ',
      );
      const reason = `ring ${ring + 1}: ${refusals.length} of its data planes do not take it (max_nack ${gates.max_nack}): ${named}`;
      return { state: 'aborted', ring, reason };
    }
    const served = judgesRequests(gates) ? await this.#served(release, standing) : null;
    const fault = served && faultIn(gates, served);
    if (fault !== null) return { state: 'aborted', ring, reason: `ring ${ring + 1}: ${fault}` };
    const loss = lossIn(gates, standing);
    if (this.#isForGood(release, loss)) return { state: 'aborted', ring, reason: `ring ${ring + 1}: ${loss}` };
    if (loss !== null) return null;
    if (age < (rings[ring]?.hold ?? 0) || has < gates.min_nodes) return null;
    if (served !== null && missingRequests(gates, served) !== null) return null;
    return ring + 1 < rings.length
      ? { state: 'rolling', ring: ring + 1, reason: null }
      : { state: 'live', ring, reason: null };
  }

  /** Whether too many have been gone for so long that they are not just on their way to another control plane. */
  #isForGood({ id, ring, since }: StoredRelease, loss: string | null): boolean {
    if (loss === null) {
      this.#lost.delete(id);
      return false;
    }
    const stay = `${ring} ${since}`;
    const seen = this.#lost.get(id);
    if (seen?.stay === stay) return performance.now() - seen.since >= (this.#options.patience ?? PATIENCE);
    this.#lost.set(id, { stay, since: performance.now() });
    return false;
  }

  /** Once for each ring, and for each that is newly among them. */
  #tellUnable({ id, ring }: StoredRelease, unable: readonly string[]): void {
    const told = `${ring} ${unable.join()}`;
    if (unable.length > 0 && told !== this.#unable.get(id)) {
      const why = `ring ${ring + 1} wants their requests split, which they are not able to`;
      this.#options.log(
        'warn',
        `data planes that keep the config before release ${id}, since ${why}: ${inWords(unable)}`,
      );
    }
    this.#unable.set(id, told);
  }

  #served({ since, began }: StoredRelease, { ring, split, others }: Standing): Promise<ServedSides> {
    return this.#options.telemetry.sides({ since, serial: began, ring, split, others });
  }

  /** What its gates see of a release at a ring; null: it is at none. */
  async figures(release: StoredRelease): Promise<RingFigures | null> {
    const { state, rings, ring, age } = release;
    const current = rings[ring];
    if ((state !== 'rolling' && state !== 'paused') || current === undefined) return null;
    const standing = await standingOf(this.#options.registry, release);
    const served = await this.#served(release, standing);
    const { hold, gates } = current;
    const waits = [
      age < hold ? `${Math.ceil(hold - age)} s (hold)` : null,
      standing.has < gates.min_nodes ? `${standing.has} of ${gates.min_nodes} data planes (min_nodes)` : null,
      missingRequests(gates, served),
      lossIn(gates, standing) === null
        ? null
        : `${standing.gone} of ${standing.gone + standing.present} data planes that left (max_gone_increase)`,
    ];
    return {
      nodes: standing.present,
      nodes_serving: standing.has,
      nodes_gone: standing.gone,
      load_ms: standing.loadMs,
      nodes_refusing: standing.refusals.length,
      nodes_unable: standing.unable.length,
      ring: figuresOf(served.ring),
      others: figuresOf(served.others),
      waits_for: waits.filter((one) => one !== null),
    };
  }

  #live(group: string): StoredRelease {
    const { publisher } = this.#options;
    const live = publisher.staged?.live(group);
    if (live == null && !publisher.groups().includes(group)) {
      throw new ReleaseConflict(`there is no group '${group.slice(0, 64)}'`);
    }
    if (live == null) {
      throw new ReleaseConflict(
        `group '${group}' publishes what is written at once: set its 'publish' to 'release' first`,
      );
    }
    return live;
  }

  /** What is written and not in the release that is live. */
  #pending({ group, content }: StoredRelease): Manifest {
    const newest = this.#newest(group);
    if (newest.config_hash !== content.config_hash) return newest;
    throw new ReleaseConflict(`nothing is pending for group '${group}': its data planes get all that is written`);
  }

  #newest(group: string): Manifest {
    const { publisher } = this.#options;
    const newest = publisher.staged?.newest(group);
    if (newest !== undefined) return newest;
    throw new ReleaseConflict(publisher.trouble(group) ?? `nothing is known of group '${group}' yet`);
  }

  async #object(name: string) {
    const { publisher, store } = this.#options;
    const object = publisher.object(name) ?? (await store.objects([name]))[0];
    if (object === undefined) throw new Error(`object ${name} is gone`);
    return object;
  }
}

/** What the gates of a ring see. */
export interface RingFigures {
  readonly nodes: number;
  readonly nodes_serving: number;
  /** Those that are to have it and left since the ring began. What they served counts on. */
  readonly nodes_gone: number;
  /** Milliseconds that it took the slowest of those that have it to serve it; null: none has said so. */
  readonly load_ms: number | null;
  readonly nodes_refusing: number;
  /** Those that are to have it for a part of their requests and cannot split them: they keep the config before. */
  readonly nodes_unable: number;
  /** Requests since the ring began: those that met the release, and those that met the config before, also on the same data planes. */
  readonly ring: ServedFigures;
  readonly others: ServedFigures;
  /** In words, before the next ring begins. */
  readonly waits_for: readonly string[];
}

const ABORTED = 'by order';

/** Has a group publish by releases; `default` may have no row. */
async function stage(workspace: Workspace, group: string): Promise<void> {
  const groups = workspace.entity('groups');
  const key = { field: 'name', value: group };
  const publish = 'release';
  if ((await groups.select(key)) === null) await groups.insert({ name: group, publish });
  else await groups.update(key, { publish });
}

/** The ring that a release is at, from 1; null: it is at none. */
export function ringOf({ state, ring }: Pick<StoredRelease, 'state' | 'ring'>): number | null {
  return state === 'rolling' || state === 'paused' ? ring + 1 : null;
}

function begin({ rings }: StoredRelease): ReleaseStep {
  return { state: rings.length > 0 ? 'rolling' : 'live', ring: 0, reason: null };
}

/** The table of docs/releases.md. */
function stepFor(release: StoredRelease, order: 'promote' | 'pause' | 'resume' | 'abort'): ReleaseStep | null {
  const { state, ring, rings } = release;
  const isOpen = state === 'scheduled' || state === 'rolling' || state === 'paused';
  switch (order) {
    case 'abort':
      return isOpen ? { state: 'aborted', ring, reason: ABORTED } : null;
    case 'pause':
      return state === 'rolling' ? { state: 'paused', ring, reason: null } : null;
    case 'resume':
      return state === 'paused' ? { state: 'rolling', ring, reason: null } : null;
    case 'promote':
      if (state === 'scheduled') return begin(release);
      if (!isOpen) return null;
      return ring + 1 < rings.length
        ? { state: 'rolling', ring: ring + 1, reason: null }
        : { state: 'live', ring, reason: null };
  }
}

function inWords(names: readonly string[], between = ', '): string {
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : '';
  return `${names.slice(0, MOST_NAMED).join(between)}${more}`;
}

function told({ state, ring, rings, reason, serial }: StoredRelease): string {
  const at = state === 'rolling' || state === 'paused' ? ` at ring ${ring + 1} of ${rings.length}` : '';
  return `${state}${at}, serial ${serial}${reason === null ? '' : `: ${reason}`}`;
}
