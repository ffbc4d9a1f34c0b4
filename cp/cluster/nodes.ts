import { messageOf } from '../../shared/thrown.ts';
import type { LivingNode, NodeKeys, NodeRegistry, RefusedClaim } from '../store/store.ts';
import { DatabaseUnavailable } from '../store/unavailable.ts';
import type { ClusterLog } from './mtls-server.ts';
import { networkOf } from './networks.ts';
import { TooMany } from './quotas.ts';
import type { NodeSession } from './session.ts';

type NodeWatcher = (session: NodeSession, connected: boolean) => void;

interface NodesOptions {
  /** The id of this control plane's process. */
  readonly id: string;
  readonly registry: NodeRegistry;
  /** Seconds after its last sign of life at which a data plane is forgotten (`cluster_data_plane_purge_delay`). */
  readonly purgeDelay: number;
  readonly mostOfAddress?: number;
  readonly log: ClusterLog;
  /** The id of a session turned out to belong to another data plane, which another control plane has met first. */
  readonly lost: (session: NodeSession) => void;
}

/** Milliseconds until news of a node, or only that it still lives, are written down. */
const URGENT = 20;
const LEISURELY = 5_000;
/** Nodes connected at a time: several times what one control plane is for, and what a hostile one can make it remember. */
const MOST_NODES = 10_000;
/** Nodes in the registry, those that are gone included. */
const MOST_KNOWN = 20_000;
/**
 * Of one address, or /64 of IPv6: a fleet behind one has room, and one data plane that was stolen, or its certificate, fills neither the registry nor the
 * connections of a control plane.
 */
const MOST_OF_ADDRESS = 6_000;
/** Seconds after which a node is forgotten that never had any config: it may be none. */
const NEVER_APPLIED = 300;
/** Characters of what all nodes say of their targets. */
const MOST_HEALTH = 64 << 20;
/** Milliseconds between attempts while the database fails. */
const RETRY = 5_000;
/** Nodes written down by one statement. */
const BATCH = 250;

/** What is new of a node: something that others wait for, something else, or only that it lives. */
export type NodeChange = 'urgent' | 'leisurely' | 'alive';

/**
 * The data planes connected to this control plane, and the writing down of what they say. Writes go one after the
 * other, the newest state of a node only, and never hold up a link: while the database is away, they wait.
 */
export class Nodes {
  readonly #options: NodesOptions;
  readonly #connected = new Map<string, NodeSession>();
  readonly #unsaved = new Map<string, NodeSession>();
  /** Of which nothing is new, by their ids: most of all that say a heartbeat. */
  readonly #alive = new Map<string, NodeSession>();
  /** Ids of nodes that are gone, which is not written down yet. */
  readonly #left = new Set<string>();
  /** By the id they were for; not written down yet. */
  readonly #refused = new Map<string, RefusedClaim>();
  /** What was forgotten says nothing more. */
  readonly #forgotten = new WeakSet<NodeSession>();
  /** Characters kept of what each says of its targets. */
  readonly #health = new Map<NodeSession, number>();
  readonly #watchers = new Set<NodeWatcher>();
  #healthLength = 0;
  #timer: NodeJS.Timeout | null = null;
  #due = Number.POSITIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();
  #complaint = '';
  #stopping = false;

  constructor(options: NodesOptions) {
    this.#options = options;
  }

  /** Throws `TooMany` when there is no room for one more node, other than one that is there. */
  requireRoom(id: string): void {
    if (this.#connected.size < MOST_NODES || this.#connected.has(id)) return;
    throw new TooMany(`${MOST_NODES} data planes are connected to this control plane, the most it takes`);
  }

  /** Throws `TooMany` when there is no room for one nobody knew, who comes from an address. */
  async requireRoomForNew(ip: string): Promise<void> {
    const { registry, mostOfAddress = MOST_OF_ADDRESS } = this.#options;
    const network = networkOf(ip);
    const known = await registry.count(network).catch(() => this.#countHere(network));
    const forget = 'forget some at /clustering/data-planes';
    if (known.all >= MOST_KNOWN) throw new TooMany(`${MOST_KNOWN} data planes are known, the most that are; ${forget}`);
    if (known.ofAddress < mostOfAddress) return;
    throw new TooMany(
      `${mostOfAddress} data planes are known of ${network}, the most that are of one address; ${forget}`,
    );
  }

  /** Of those that are connected: what is known without a database. */
  #countHere(network: string): { readonly all: number; readonly ofAddress: number } {
    const ofAddress = [...this.#connected.values()].filter(({ peer }) => networkOf(peer.ip) === network).length;
    return { all: this.#connected.size, ofAddress };
  }

  /** Whether health of so many characters may be kept for a node, in place of what is kept for it. */
  takeHealth(session: NodeSession, length: number): boolean {
    const before = this.#health.get(session) ?? 0;
    if (length > before && this.#healthLength - before + length > MOST_HEALTH) return false;
    this.#healthLength += length - before;
    this.#health.set(session, length);
    return true;
  }

  /**
   * Writes a node down that nobody knew, before it is one of us: of two that say the same id at the same time, the database
   * takes one. False for the other. Without a database, that is found out later.
   */
  async introduce(session: NodeSession): Promise<boolean> {
    try {
      if (await this.#put(session)) return true;
    } catch {
      // It is among those to be written down, where the failure is told.
      return true;
    }
    if (this.#unsaved.get(session.node.id) === session) this.#unsaved.delete(session.node.id);
    return false;
  }

  /** Adds a node that came in this way; returns the session that it replaces. */
  join(session: NodeSession, way: string): NodeSession | undefined {
    const previous = this.#connected.get(session.node.id);
    if (previous !== undefined) this.#dropHealth(previous);
    const holds = `holding serial ${session.record.serial ?? 'none'}`;
    this.#options.log('notice', `${session.name} is connected${previous ? ' again' : ''} ${way}, ${holds}`);
    this.#connected.set(session.node.id, session);
    this.#left.delete(session.node.id);
    this.#tell(session, true);
    return previous;
  }

  /** Takes a session out, unless a newer one of the same node took its place. */
  leave(session: NodeSession, reason: string): void {
    this.#dropHealth(session);
    const { id } = session.node;
    if (this.#connected.get(id) !== session) return;
    // That this control plane stops is said once.
    this.#options.log(this.#stopping ? 'info' : 'notice', `${session.name} is disconnected: ${reason}`);
    this.#connected.delete(id);
    this.#tell(session, false);
    this.#left.add(id);
    this.#writeIn(URGENT);
  }

  /** Calls back at once when a data plane connects or leaves, and with everything new of one that is connected. */
  watch(watcher: NodeWatcher): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  #tell(session: NodeSession, connected: boolean): void {
    for (const watcher of this.#watchers) watcher(session, connected);
  }

  #dropHealth(session: NodeSession): void {
    this.#healthLength -= this.#health.get(session) ?? 0;
    this.#health.delete(session);
  }

  get(id: string): NodeSession | undefined {
    return this.#connected.get(id);
  }

  connected(): Iterable<NodeSession> {
    return this.#connected.values();
  }

  /** How many are to be written down, or are now. */
  get unwritten(): number {
    return this.#unsaved.size + this.#alive.size + this.#refused.size + this.#left.size;
  }

  /** Has a session's record written down soon. */
  changed(session: NodeSession, change: NodeChange): void {
    if (this.#forgotten.has(session)) return;
    const { id } = session.node;
    if (change === 'urgent' && this.#connected.get(id) === session) this.#tell(session, true);
    if (change === 'alive') {
      if (this.#unsaved.get(id) !== session) this.#alive.set(id, session);
    } else {
      this.#alive.delete(id);
      this.#unsaved.set(id, session);
    }
    this.#writeIn(change === 'urgent' ? URGENT : LEISURELY);
  }

  /** Has it shown who said, in vain, that it was a node: the last one only. */
  refused(id: string, claim: RefusedClaim): void {
    if (this.#refused.size < MOST_NODES || this.#refused.has(id)) this.#refused.set(id, claim);
    this.#writeIn(URGENT);
  }

  /**
   * Forgets a node, whose link the caller has ended; with `keys` only while its id belongs to them. False when it was not
   * known. Throws without a database.
   */
  async forget(id: string, keys?: NodeKeys): Promise<boolean> {
    this.forgetHere(id);
    const forgotten = this.#writing.then(() => this.#options.registry.forget(id, keys));
    this.#writing = forgotten.then(
      () => undefined,
      () => undefined,
    );
    return forgotten;
  }

  /** The same, where the database has forgotten it already. */
  forgetHere(id: string): void {
    const session = this.#connected.get(id);
    if (session !== undefined) this.#forgotten.add(session);
    this.#unsaved.delete(id);
    this.#alive.delete(id);
    this.#left.delete(id);
    this.#refused.delete(id);
  }

  /** Writes down everything there is. Never throws: what fails is logged, kept, and tried again. */
  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#due = Number.POSITIVE_INFINITY;
    this.#writing = this.#writing.then(() => this.#write());
    await this.#writing;
  }

  /** From now on nodes leave because this control plane stops. */
  stopping(): void {
    this.#stopping = true;
  }

  async stop(): Promise<void> {
    await this.flush();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #writeIn(delay: number): void {
    const due = Date.now() + delay;
    if (due >= this.#due) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => void this.flush(), delay);
    this.#timer.unref();
  }

  #put(session: NodeSession): Promise<boolean> {
    const { id: own, registry } = this.#options;
    const { node, ttl } = this.#living(session);
    return registry.put(node, ttl, own);
  }

  #living(session: NodeSession): LivingNode {
    const { purgeDelay } = this.#options;
    const node = session.record;
    return { id: node.id, node, ttl: node.serial === null ? Math.min(purgeDelay, NEVER_APPLIED) : purgeDelay };
  }

  /** Those that live, and of which nothing else is to be written down. One whose record is another's by now is written down anew. */
  async #renew(): Promise<void> {
    const { id: own, registry } = this.#options;
    for (const sessions of batches(this.#alive)) {
      const renewed = await registry.renew(
        sessions.map((session) => this.#living(session)),
        own,
      );
      for (const session of sessions) {
        const { id } = session.node;
        if (this.#alive.get(id) === session) this.#alive.delete(id);
        if (!renewed.has(id) && this.#connected.get(id) === session) this.#unsaved.set(id, session);
      }
    }
  }

  async #putAll(): Promise<void> {
    const { id: own, registry } = this.#options;
    for (const sessions of batches(this.#unsaved)) {
      for (const { node } of sessions) this.#unsaved.delete(node.id);
      const living = sessions.map((session) => this.#living(session));
      // Where one cannot be written down, the others are.
      const written = await registry.putAll(living, own).catch(() => null);
      if (written === null) await this.#putEach(sessions);
      else for (const session of sessions) if (!written.has(session.node.id)) this.#options.lost(session);
    }
  }

  /** Throws the first failure, once all have been tried that can be: those that failed are tried again later. */
  async #putEach(sessions: readonly NodeSession[]): Promise<void> {
    const failed = new Map<string, NodeSession>();
    let failure: unknown;
    for (const session of sessions) {
      if (failure instanceof DatabaseUnavailable) {
        failed.set(session.node.id, session);
        continue;
      }
      try {
        if (!(await this.#put(session))) this.#options.lost(session);
      } catch (error) {
        failure ??= error;
        if (error instanceof DatabaseUnavailable) failure = error;
        failed.set(session.node.id, session);
      }
    }
    for (const [id, session] of failed) if (!this.#unsaved.has(id)) this.#unsaved.set(id, session);
    if (failed.size > 0) throw failure;
  }

  async #writeLeft(): Promise<void> {
    const { id: own, registry } = this.#options;
    const left = [...this.#left];
    if (left.length === 0) return;
    // One that comes back and leaves again meanwhile has left once more.
    this.#left.clear();
    try {
      await registry.left(left, own);
    } catch (error) {
      for (const id of left) if (!this.#connected.has(id)) this.#left.add(id);
      throw error;
    }
  }

  async #write(): Promise<void> {
    const { registry, log } = this.#options;
    try {
      await this.#renew();
      await this.#putAll();
      for (const [id, claim] of [...this.#refused]) {
        await registry.noteRefused(id, claim);
        this.#refused.delete(id);
      }
      await this.#writeLeft();
      this.#complaint = '';
    } catch (error) {
      const detail = messageOf(error);
      if (detail !== this.#complaint) log('error', `cannot write down the state of data planes: ${detail}`);
      this.#complaint = detail;
      this.#writeIn(RETRY);
    }
  }
}

/** What there is now, some at a time. */
function batches(waiting: ReadonlyMap<string, NodeSession>): NodeSession[][] {
  const sessions = [...waiting.values()];
  return Array.from({ length: Math.ceil(sessions.length / BATCH) }, (_, place) =>
    sessions.slice(place * BATCH, (place + 1) * BATCH),
  );
}
