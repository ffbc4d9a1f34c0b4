import { randomUUID } from 'node:crypto';
import { messageOf } from '../../shared/thrown.ts';
import type { NodeSession } from '../cluster/session.ts';
import type { Publisher } from '../publisher/publisher.ts';
import type {
  ChangeFeed,
  ChangeLog,
  LoggedCommit,
  NodeRegistry,
  NodeStanding,
  ReleaseStanding,
  ReleaseStore,
} from '../store/store.ts';
import { type ClusterEvent, EVENT_KINDS, seconds } from './event.ts';
import { EventHistory } from './history.ts';
import { NodeNews } from './node-news.ts';
import { commitMark, type Position, positionText } from './position.ts';

/** Where events come from. */
export interface EventSources {
  readonly changes: Pick<ChangeFeed, 'subscribe'>;
  readonly log: ChangeLog;
  readonly releases: Pick<ReleaseStore, 'steps'>;
  readonly registry: Pick<NodeRegistry, 'standingElsewhere'>;
  readonly publisher: Publisher;
  /** The data planes connected to this control plane. */
  readonly nodes: {
    connected(): Iterable<NodeSession>;
    get(id: string): NodeSession | undefined;
    watch(watcher: (session: NodeSession, connected: boolean) => void): () => void;
  };
  /** The id of this control plane. */
  readonly controlPlane: string;
  readonly warn: (message: string) => void;
}

/** Milliseconds between looks at what other control planes write down. */
const INTERVAL = 1_000;
/** Seconds by which what is looked at reaches further back than the last look: a commit is seen later than its time says. */
const OVERLAP = 3;
/** Characters of events that are kept for readers that come back. */
const MOST_KEPT = 4 << 20;

/** Watches the cluster while somebody reads: makes events of what happens, one after the other. */
export class Watch {
  readonly #sources: EventSources;
  readonly #tell: (text: string) => void;
  readonly #id = randomUUID().slice(0, 8);
  readonly history = new EventHistory(MOST_KEPT);
  readonly #nodes = new NodeNews();
  readonly #hashes = new Map<string, string>();
  readonly #troubles = new Map<string | null, string>();
  #steps = new Map<string, string>();
  readonly #endings: (() => void)[] = [];
  #serial = 0;
  #commit = commitMark(null);
  #looking: Promise<void> | null = null;
  #again = false;
  /** By `performance.now()`, of the last look that worked. */
  #nodesSeen = performance.now();
  #stepsSeen = performance.now();
  #complaint = '';

  private constructor(sources: EventSources, tell: (text: string) => void) {
    this.#sources = sources;
    this.#tell = tell;
  }

  /** Begins from how everything is now. Throws while the database is away. */
  static async begin(sources: EventSources, tell: (text: string) => void): Promise<Watch> {
    const watch = new Watch(sources, tell);
    const { log, releases, registry, publisher, nodes, changes, controlPlane } = sources;
    const { serial, commit } = await log.newest();
    watch.#serial = serial;
    watch.#commit = commitMark(commit);
    watch.#steps = stepMarks(await releases.steps(OVERLAP));
    for (const node of await registry.standingElsewhere(controlPlane, null)) watch.#nodes.know(node);
    // From here on nothing waits: what happens next is told.
    for (const session of nodes.connected()) watch.#nodes.know(standingOf(session, true));
    for (const group of publisher.groups()) {
      const manifest = publisher.release(group)?.manifest;
      if (manifest !== undefined) watch.#hashes.set(group, manifest.config_hash);
    }
    watch.#noteTroubles();
    const timer = setInterval(() => void watch.look(), INTERVAL);
    timer.unref();
    watch.#endings.push(
      () => clearInterval(timer),
      changes.subscribe(() => void watch.look()),
      nodes.watch((session, connected) => watch.#add(watch.#nodes.look(standingOf(session, connected)))),
      publisher.subscribe(({ manifest: { group, serial: published, config_hash } }) => {
        const changed = watch.#hashes.get(group) !== config_hash;
        watch.#hashes.set(group, config_hash);
        const at = seconds(Date.now());
        watch.#add([{ kind: 'published', data: { group, serial: published, config_hash, changed, at } }]);
      }),
    );
    return watch;
  }

  stop(): void {
    for (const end of this.#endings.splice(0)) end();
  }

  /** Where a reader is that has been told everything. */
  get position(): Position {
    return { serial: this.#serial, commit: this.#commit, watch: this.#id, number: this.history.number };
  }

  /** Somebody had a data plane forgotten, perhaps at another control plane. */
  forgotten(id: string): void {
    this.#add(this.#nodes.forget(id, Date.now() / 1000));
  }

  /** Looks at what has to be asked for. Never throws. */
  async look(): Promise<void> {
    this.#again = true;
    this.#looking ??= this.#lookOn().finally(() => {
      this.#looking = null;
    });
    await this.#looking;
  }

  async #lookOn(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      try {
        await this.#followLog();
        await this.#lookElsewhere();
        this.#complaint = '';
      } catch (error) {
        const message = messageOf(error);
        if (message !== this.#complaint) this.#sources.warn(`events cannot be read from the database: ${message}`);
        this.#complaint = message;
      }
      this.#noteTroubles();
    }
  }

  async #followLog(): Promise<void> {
    const { log, releases } = this.#sources;
    const before = this.#serial;
    for (let more = true; more; ) {
      const page = await log.after(this.#serial);
      if (page === null || commitMark(page.from) !== this.#commit) {
        const { serial, commit } = await log.newest();
        this.#serial = serial;
        this.#commit = commitMark(commit);
        // An older database took its place, or it was too much at once.
        this.#add([{ kind: 'missed', data: { missed: EVENT_KINDS } }]);
        return;
      }
      for (const commit of page.commits) {
        this.#serial = commit.serial;
        this.#commit = commitMark(commit.commit);
        this.#add(changeOf(commit));
      }
      more = page.more;
    }
    if (this.#serial === before) return;
    // Every step of a release is a commit.
    const asked = performance.now();
    const steps = await releases.steps((asked - this.#stepsSeen) / 1000 + OVERLAP);
    this.#stepsSeen = asked;
    const known = this.#steps;
    this.#steps = stepMarks(steps);
    this.#add(steps.filter((step) => known.get(step.id) !== stepMark(step)).map(toEvent));
  }

  async #lookElsewhere(): Promise<void> {
    const { registry, nodes, controlPlane } = this.#sources;
    const asked = performance.now();
    if (asked - this.#nodesSeen < INTERVAL / 2) return;
    const standings = await registry.standingElsewhere(controlPlane, (asked - this.#nodesSeen) / 1000 + OVERLAP);
    this.#nodesSeen = asked;
    for (const node of standings) if (nodes.get(node.id) === undefined) this.#add(this.#nodes.look(node));
  }

  #noteTroubles(): void {
    const { publisher } = this.#sources;
    const now = new Map<string | null, string>();
    const whole = publisher.trouble();
    if (whole !== null) now.set(null, whole);
    else {
      for (const group of publisher.groups()) {
        const reason = publisher.trouble(group);
        if (reason !== null) now.set(group, reason);
      }
    }
    const at = seconds(Date.now());
    for (const group of this.#troubles.keys()) {
      if (!now.has(group)) this.#add([{ kind: 'trouble', data: { group, reason: null, at } }]);
    }
    for (const [group, reason] of now) {
      if (this.#troubles.get(group) !== reason) this.#add([{ kind: 'trouble', data: { group, reason, at } }]);
    }
    this.#troubles.clear();
    for (const [group, reason] of now) this.#troubles.set(group, reason);
  }

  #add(events: readonly ClusterEvent[]): void {
    for (const { kind, data } of events) {
      const { number, ...position } = this.position;
      const text = eventText(kind, data, positionText({ ...position, number: number + 1 }));
      this.history.add(text);
      this.#tell(text);
    }
  }
}

/** An event as it is sent (WHATWG HTML, 9.2.5); JSON has no line breaks of its own. */
export function eventText(kind: string, data: unknown, id: string): string {
  return `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A step of a release is a commit that changes no row. */
export function changeOf({ serial, at, by, total, changes }: LoggedCommit): readonly ClusterEvent[] {
  return total === 0 ? [] : [{ kind: 'change', data: { serial, at: seconds(at * 1000), by, total, changes } }];
}

function standingOf({ node, record, group, rejected }: NodeSession, connected: boolean): NodeStanding {
  const { id, hostname } = node;
  const { serial, config_hash, sync_status, reason } = record;
  return { id, hostname, group, connected, serial, config_hash, sync_status, reason, rejected, at: Date.now() / 1000 };
}

const stepMark = ({ state, ring, serial }: ReleaseStanding): string => `${state} ${ring} ${serial}`;

const stepMarks = (steps: readonly ReleaseStanding[]): Map<string, string> =>
  new Map(steps.map((step) => [step.id, stepMark(step)]));

function toEvent({ id, group, state, ring, rings, reason, serial, configHash, since }: ReleaseStanding): ClusterEvent {
  const at = seconds(since * 1000);
  const place = state === 'rolling' || state === 'paused' ? ring + 1 : null;
  return {
    kind: 'release',
    data: { id, group, state, ring: place, rings: rings.length, reason, serial, config_hash: configHash, at },
  };
}
