import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Manifest } from '../../shared/bundle/format.ts';
import { incompatibility } from '../../shared/cluster/compatibility.ts';
import type {
  AssignedMessage,
  CountsMessage,
  Explained,
  FromDataPlane,
  Hello,
  NodeDescription,
  RecordsKnown,
  RecordsMessage,
  SyncStatus,
  Withheld,
} from '../../shared/cluster/messages.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { NodeLabels } from '../publisher/groups.ts';
import type { Publisher, Release } from '../publisher/publisher.ts';
import type { RingNode } from '../releases/rings.ts';
import type { NodeKeys, NodeReport } from '../store/store.ts';
import type { Peer } from './admission.ts';
import type { HeldManifests } from './held-manifests.ts';
import type { ClusterLog } from './mtls-server.ts';
import { labelsOf } from './node-labels.ts';
import type { NodeChange } from './nodes.ts';
import { Orders } from './orders.ts';
import { healthOf, type NodeHealth } from './target-health.ts';
import type { Fault, Faults } from './withholding.ts';

/** What a session needs to know of its control plane. */
export interface SessionContext {
  readonly publisher: Publisher;
  readonly held: HeldManifests;
  /** Holdfast's version on this control plane. */
  readonly version: string;
  readonly log: ClusterLog;
  /** Plugins this control plane knows and the node lacks. */
  readonly absentPlugins: (node: NodeDescription) => readonly string[];
  /** The node has answered a question. */
  readonly answered: (session: NodeSession, answer: Explained) => void;
  /** The node says something of what data planes share. */
  readonly shares: (session: NodeSession, message: RecordsMessage | RecordsKnown) => void;
  /** The node says what it has counted. */
  readonly counts: (session: NodeSession, message: CountsMessage) => void;
  /** Whether there is room for health of so many characters of this node. */
  readonly takeHealth: (session: NodeSession, length: number) => boolean;
  /** The node serves what it was offered so many seconds ago. */
  readonly acknowledged: (seconds: number) => void;
  /** The node refused what it was offered. */
  readonly rejected: () => void;
  /** The record changed; `urgent` when it says something new rather than that the node still lives. */
  readonly changed: (session: NodeSession, change: NodeChange) => void;
}

/** What to tell the node next. */
type Offer =
  | { readonly kind: 'release'; readonly release: Release; readonly held: Manifest | null }
  | { readonly kind: 'withheld'; readonly message: Withheld };

/** Manifests sent and not yet answered that are remembered, to know what an `applied` is about. */
const UNANSWERED = 16;

/** Rows a node cannot honour that are named in one line of the log; all of them stand in the Admin API. */
const CONFLICTS_LOGGED = 5;

/** What this control plane knows of one connected data plane, whichever way it talks. */
export class NodeSession {
  readonly node: NodeDescription;
  readonly peer: Peer;
  /** What its id belongs to. */
  readonly keys: NodeKeys;
  /** Writes what is sent to it besides releases and heartbeats. */
  readonly orders: Orders;
  readonly #context: SessionContext;
  readonly #offered = new Map<number, { readonly manifest: Manifest; readonly at: number }>();
  readonly #labels: NodeLabels;
  /** The same for those that differ in nothing that config is withheld for. */
  readonly #kind: string;
  readonly #assignable: boolean;
  /** The group it was told on this connection that it is of; null: none yet. */
  #told: string | null = null;
  #held: Manifest | null = null;
  #serial: number | null = null;
  #configHash: string | null = null;
  #syncStatus: SyncStatus = 'unknown';
  #reason: string | null = null;
  #lastSeen = 0;
  #health: NodeHealth = {};
  #conflicts = '';
  /** The serial at which what it refused last is overcome; above what it had then, where the fault may be. */
  #refused: number | null = null;
  /** The serial that it refused last, where it said. */
  #refusedSerial: number | null = null;
  #boasts = false;
  /** Why the node gets nothing newer, as the last offer found; null: it gets everything. */
  #withheld: string | null = null;
  /** The hello has been answered: from then on the listener tells of every change that is withheld. */
  #greeted = false;
  #tooMuch = false;
  /** What it said of how long its config took it; null: nothing, or it has had it since before this connection. */
  #loadMs: number | null = null;

  private constructor({ node, nonce, assignable }: Hello, peer: Peer, keys: NodeKeys, context: SessionContext) {
    this.node = node;
    this.#labels = labelsOf(node, peer.labels);
    this.#kind = createHash('sha256')
      .update(JSON.stringify([node.version, node.plugins, node.capabilities]))
      .digest('base64url');
    this.#assignable = assignable === true && nonce !== undefined;
    this.peer = peer;
    this.keys = keys;
    this.orders = new Orders(context.publisher, node.id, nonce ?? null);
    this.#context = context;
  }

  /** Begins with a hello, and learns what the node holds from the signed manifest in it. Never throws. */
  static async begin(hello: Hello, peer: Peer, keys: NodeKeys, context: SessionContext): Promise<NodeSession> {
    const session = new NodeSession(hello, peer, keys, context);
    if (hello.nonce === undefined) {
      context.log(
        'warn',
        `${session.name} is of version ${hello.node.version}, which obeys orders that nobody signed: upgrade it`,
      );
    }
    if (hello.manifest !== null) session.#held = await context.held.read(hello.manifest, session.name);
    const absent = context.absentPlugins(hello.node);
    if (absent.length > 0) {
      context.log(
        'warn',
        `${session.name} lacks ${absent.join(', ')}: config that uses any of them will not be sent to it`,
      );
    }
    session.#serial = session.#held?.serial ?? null;
    session.#configHash = session.#held?.config_hash ?? null;
    session.#update({}, true);
    return session;
  }

  get name(): string {
    return `DP node with hostname: ${this.node.hostname} ip: ${this.peer.ip}`;
  }

  /** Milliseconds since the epoch. */
  get lastSeen(): number {
    return this.#lastSeen;
  }

  /** As rings of releases choose it. */
  get #ringNode(): RingNode {
    return { id: this.node.id, labels: this.#labels.all, capabilities: this.node.capabilities };
  }

  /** The group it is of, by its labels and the groups there are now. */
  get group(): string {
    return this.#context.publisher.groupOf(this.#labels);
  }

  /** How many serials it is behind the newest config of its group; all there were, when it has none. */
  get lag(): number {
    const newest = this.#context.publisher.releaseFor(this.group, this.#ringNode)?.manifest.serial ?? 0;
    return Math.max(0, newest - (this.#serial ?? 0));
  }

  /** The order that tells it its group, when it was not told or that is another now. To be given before an offer. */
  assignment(): AssignedMessage | null {
    const { group } = this;
    if (!this.#assignable || this.#told === group) return null;
    if (this.#told !== null) this.#context.log('notice', `${this.name} moves from group '${this.#told}' to '${group}'`);
    this.#told = group;
    this.#update({}, true);
    return { type: 'assigned', group };
  }

  /** What the registry keeps of it. */
  get record(): NodeReport {
    const { id, hostname, version, labels, ...description } = this.node;
    return {
      id,
      hostname,
      version,
      labels,
      ip: this.peer.ip,
      config_hash: this.#configHash,
      sync_status: this.#syncStatus,
      cert_details: { expiry_timestamp: this.peer.certificateExpires },
      serial: this.#serial,
      reason: this.#reason,
      description: {
        ...description,
        group: this.group,
        ...(this.#loadMs !== null && { load_ms: this.#loadMs }),
        ...(this.rejected && { rejected: true, refused: this.#refusedSerial }),
      },
      health: this.#health,
      keys: this.keys,
    };
  }

  /** It refused what it was given last, and has come past it by no way yet. */
  get rejected(): boolean {
    return this.#reason !== null && this.#refused !== null && this.#withheld === null && !isWithheld(this.#syncStatus);
  }

  /** Takes note of what the node says. A second hello only refreshes: what a node is does not change on a connection. */
  receive(message: FromDataPlane): void {
    switch (message.type) {
      case 'hello':
        this.#update({}, false);
        break;
      case 'applied':
        if (!this.#isPublished(message.serial)) break;
        this.#acknowledge(message.serial);
        for (const serial of this.#offered.keys()) if (serial <= message.serial) this.#offered.delete(serial);
        this.#loadMs = message.load_ms ?? null;
        this.#update({ serial: message.serial, configHash: message.config_hash, ...this.#acknowledged() }, true);
        break;
      case 'rejected': {
        const which = message.serial === null ? 'the config' : `serial ${message.serial}`;
        this.#context.rejected();
        this.#context.log('warn', `${this.name} refused ${which} and keeps its last config: ${message.reason}`);
        this.#refusedSerial = message.serial;
        this.#refused = Math.max(message.serial ?? 0, (this.#serial ?? -1) + 1);
        // Should it be that it has not heard of its group: that is said once more, before the next offer.
        this.#told = null;
        this.#update({ syncStatus: 'unknown', reason: message.reason }, true);
        break;
      }
      case 'explained':
        this.#context.answered(this, message);
        break;
      case 'records':
      case 'records_known':
        this.#context.shares(this, message);
        break;
      case 'counts':
        this.#context.counts(this, message);
        break;
      case 'heartbeat': {
        const health = this.#healthOf(message.health);
        const { serial, config_hash: configHash } = this.#isPublished(message.serial)
          ? message
          : { serial: this.#serial, config_hash: this.#configHash };
        const news =
          serial !== this.#serial || configHash !== this.#configHash || !isDeepStrictEqual(health, this.#health);
        this.#health = health;
        this.#update({ serial, configHash, ...this.#overcome(serial) }, news);
        break;
      }
    }
  }

  #acknowledge(serial: number): void {
    const offer = this.#offered.get(serial);
    if (offer === undefined) return;
    this.#held = offer.manifest;
    this.#context.acknowledged((performance.now() - offer.at) / 1000);
  }

  /** What is kept of a heartbeat's health: what was, when all data planes together say too much. */
  #healthOf(said: unknown): NodeHealth {
    const health = healthOf(said);
    const taken = this.#context.takeHealth(this, JSON.stringify(health).length);
    if (!taken && !this.#tooMuch) {
      this.#context.log(
        'warn',
        `${this.name}: its target health is not taken, since data planes say more of theirs than this control plane keeps`,
      );
    }
    this.#tooMuch = !taken;
    return taken ? health : this.#health;
  }

  /** Whether a serial that the node says it has can be: nobody has what was never published. Told once when it cannot. */
  #isPublished(serial: number | null): boolean {
    const newest = Math.max(this.#context.publisher.serial(), this.#held?.serial ?? 0);
    if (serial === null || serial <= newest) return true;
    if (!this.#boasts) {
      this.#context.log('warn', `${this.name} says it has serial ${serial}, but ${newest} is the newest: not believed`);
    }
    this.#boasts = true;
    return false;
  }

  /** A node that came past what it refused, by whatever way, is as good as any. */
  #overcome(serial: number | null): { syncStatus?: SyncStatus; reason?: string | null } {
    if (this.#refused === null || serial === null || serial < this.#refused) return {};
    return this.#acknowledged();
  }

  /** What an acknowledgement says of the node's state; nothing while newer config is being withheld from it. */
  #acknowledged(): { syncStatus?: SyncStatus; reason?: string | null } {
    this.#refused = null;
    return isWithheld(this.#syncStatus) ? {} : { syncStatus: 'normal', reason: null };
  }

  /** Decides what the node gets of the newest release. Notes and logs why, when it gets nothing. Never throws. */
  async offer(): Promise<Offer> {
    const { publisher } = this.#context;
    const ahead = this.#held !== null && this.#held.serial > publisher.serial();
    const accident = ahead && this.#held !== null ? await this.#catchUp(this.#held) : null;
    if (accident !== null) return this.#withhold({ type: 'withheld', sync_status: 'unknown', reason: accident });
    const release = await this.#releaseFor(this.group);
    if (release === null) {
      const reason = publisher.trouble(this.group) ?? `nothing is published to group '${this.group}' yet`;
      return this.#withhold({ type: 'withheld', sync_status: 'unknown', reason });
    }
    const fault = this.#faultOf(release.manifest);
    if (fault !== null) return this.#withhold({ type: 'withheld', ...fault });
    this.#withheld = null;
    this.#greeted = true;
    if (isWithheld(this.#syncStatus)) this.#update({ syncStatus: 'unknown', reason: null }, true);
    if (this.#held?.serial === release.manifest.serial && this.#reason === null)
      this.#update(this.#acknowledged(), true);
    this.#logConflicts();
    const { manifest } = release;
    const at = this.#offered.get(manifest.serial)?.at ?? performance.now();
    this.#offered.set(manifest.serial, { manifest, at });
    const oldest = this.#offered.size > UNANSWERED ? this.#offered.keys().next().value : undefined;
    if (oldest !== undefined) this.#offered.delete(oldest);
    return { kind: 'release', release, held: this.#held };
  }

  /** The newest release of its group, at no serial below the one it holds, which it may have from another group. */
  async #releaseFor(group: string): Promise<Release | null> {
    const { publisher } = this.#context;
    const newest = publisher.releaseFor(group, this.#ringNode);
    if (newest === null || this.#held === null || newest.manifest.serial >= this.#held.serial) return newest;
    return publisher.lift(newest);
  }

  /**
   * Why the node does not get the newest manifest of its group, or nothing newer at all; null when it does. `faults`: what was found of
   * others at the same moment.
   */
  withheld(faults: Faults): string | null {
    const { publisher } = this.#context;
    const manifest = publisher.releaseFor(this.group, this.#ringNode)?.manifest;
    if (manifest === undefined) return this.#withheld;
    const ahead = this.#held !== null && this.#held.serial > manifest.serial;
    const key = `${this.group} ${manifest.group} ${manifest.serial} ${this.#assignable} ${this.node.group} ${this.#kind}`;
    let fault = faults.get(key);
    if (fault === undefined) {
      fault = this.#faultOf(manifest);
      faults.set(key, fault);
    }
    return fault?.reason ?? (ahead ? this.#withheld : null);
  }

  #faultOf({ group, plugins }: Manifest): Fault | null {
    if (!this.#assignable && this.node.group !== group) {
      const reason =
        `its labels make this data plane one of group '${group}', but its version takes config of '${this.node.group}' ` +
        'only, which its cluster_group says: upgrade it';
      return { sync_status: 'unknown', reason };
    }
    const conflicts = this.#context.publisher.conflicts(group, this.node.capabilities);
    return incompatibility(this.#context.version, this.node, plugins, conflicts);
  }

  /** Says what the node's runtime cannot honour, once for the same list. */
  #logConflicts(): void {
    const conflicts = this.#context.publisher.conflicts(this.group, this.node.capabilities);
    const listed = conflicts
      .slice(0, CONFLICTS_LOGGED)
      .map(({ entity, id, name, reason }) => `${entity} ${name ?? id}: ${reason}`)
      .join('; ');
    const more = conflicts.length > CONFLICTS_LOGGED ? ` and ${conflicts.length - CONFLICTS_LOGGED} more` : '';
    if (listed !== '' && listed + more !== this.#conflicts) {
      this.#context.log('warn', `${this.name} (${this.node.host}) cannot honour ${listed}${more}`);
    }
    this.#conflicts = listed + more;
  }

  async #catchUp(held: Manifest): Promise<string | null> {
    try {
      return await this.#context.publisher.catchUp(held);
    } catch (error) {
      const detail = messageOf(error);
      return `holds serial ${held.serial}, which the database has not reached, and cannot be moved there: ${detail}`;
    }
  }

  #withhold(message: Withheld): Offer {
    if (!this.#greeted) {
      this.#context.log('warn', `unable to send updated configuration to ${this.name} reason: ${message.reason}`);
    }
    this.#greeted = true;
    this.#withheld = message.reason;
    this.#update({ syncStatus: message.sync_status, reason: message.reason }, true);
    return { kind: 'withheld', message };
  }

  #update(
    news: { serial?: number | null; configHash?: string | null; syncStatus?: SyncStatus; reason?: string | null },
    urgent: boolean,
  ): void {
    this.#lastSeen = Date.now();
    const before = [this.#serial, this.#configHash, this.#syncStatus, this.#reason];
    if (news.serial !== undefined) this.#serial = news.serial;
    if (news.configHash !== undefined) this.#configHash = news.configHash;
    if (news.syncStatus !== undefined) this.#syncStatus = news.syncStatus;
    if (news.reason !== undefined) this.#reason = news.reason;
    const after = [this.#serial, this.#configHash, this.#syncStatus, this.#reason];
    const changed = after.some((value, place) => value !== before[place]);
    this.#context.changed(this, urgent ? 'urgent' : changed ? 'leisurely' : 'alive');
  }
}

function isWithheld(status: SyncStatus): boolean {
  return status !== 'normal' && status !== 'unknown';
}
