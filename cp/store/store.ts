import type { BundleRow, Manifest, ObjectName, PackedObject } from '../../shared/bundle/format.ts';
import type { Needed } from '../../shared/cluster/compatibility.ts';
import type { Count } from '../../shared/cluster/counts.ts';
import type { RecordChange, RecordOutcome, RecordPage, RecordPosition } from '../../shared/cluster/records.ts';
import type { Row } from '../../shared/record.ts';
import type { Ring } from '../releases/rings.ts';
import type { TelemetryHistory } from '../telemetry/history.ts';
import type { Author } from './author.ts';
import type { DatabaseCondition } from './condition.ts';
import type { Expirations } from './expirations.ts';
import type { ConnectionPool, StoreFigures } from './figures.ts';
import type { LuaPlugins } from './lua-plugins.ts';
import type { NodeStep } from './node-step.ts';

/** One page of rows. `offset` is the opaque token of the next page, absent on the last. */
export interface Page {
  readonly rows: Row[];
  readonly offset?: string;
}

/** Which rows, and which page of them. */
export interface PageQuery {
  /** 1 to 1000; 100 when absent. */
  readonly size?: number;
  readonly offset?: string;
  /** `all`: rows carrying every tag; `any`: at least one. */
  readonly tags?: { readonly mode: 'all' | 'any'; readonly tags: readonly string[] };
  /** Only rows whose foreign `field` is `id`. */
  readonly parent?: { readonly field: string; readonly id: string };
  /** Only rows whose `field` equals `value` (custom_id look-ups). */
  readonly where?: { readonly field: string; readonly value: unknown };
  /** `key` (default): by primary key. `newest`: by `created_at`, latest first, with positions as offsets (targets). */
  readonly order?: 'key' | 'newest';
}

/** How a row is named: its primary key, or a unique field of it. */
export type RowKey = { readonly id: string } | { readonly field: string; readonly value: string };

/**
 * One entity type, as Kong's DAOs behave: input is validated and completed by the entity's schema, references by a
 * parent's unique field are resolved, and what the database refuses comes back as Kong's error. Every method throws
 * `KongError` (shared/schema/errors.ts) for what the caller did wrong and lets driver failures through.
 */
export interface EntityStore {
  page(query?: PageQuery): Promise<Page>;
  /** Null when there is none. Rows whose ttl has run out are not there. */
  select(key: RowKey): Promise<Row | null>;
  /** The rows of these ids in their order; ids of no row are passed over. */
  selectMany(ids: readonly string[]): Promise<Row[]>;
  /** The rows that have the key of one of these complete rows, or something that one is unique by; in no particular order. */
  related(rows: readonly Row[]): Promise<Row[]>;
  insert(input: Row, options?: WriteOptions): Promise<Row>;
  /** Merges `input` into the row (PATCH); throws not found (code 6) when it does not exist. */
  update(key: RowKey, input: Row, options?: WriteOptions): Promise<Row>;
  /** Creates or replaces (PUT). */
  upsert(key: RowKey, input: Row, options?: WriteOptions): Promise<Row>;
  /**
   * Inserts many rows in batches, all or none, in one transaction. Gives the stored rows in no particular order. The error
   * is that of the first row refused.
   */
  insertMany(inputs: readonly Row[]): Promise<Row[]>;
  /** The same for rows that may be there already: each carries its id, under which it is created or replaced. */
  upsertMany(inputs: readonly Row[], options?: BatchOptions): Promise<Row[]>;
  /** False when nothing was there. Throws code 4 when a restricting child refers to it. */
  delete(key: RowKey, options?: Pick<WriteOptions, 'expected'>): Promise<boolean>;
  /**
   * Takes from the rows of these ids what they are unique by, so that other rows can have it. For within a transaction in
   * which each of them is written or deleted afterwards.
   */
  vacate(ids: readonly string[]): Promise<void>;
  /** Deletes the rows of these ids, all or none; ids of no row are passed over. Gives how many went. */
  deleteMany(ids: readonly string[]): Promise<number>;
}

/** What a write takes beside the row. */
export interface WriteOptions {
  /** Seconds until the row vanishes, for entities with `ttl`; 0 for never. May also come as `ttl` in the row. */
  readonly ttl?: number;
  /** Entity tags (`rowTag`) one of which the stored row must have, `*`: any. Else the write throws `RowChanged`. */
  readonly expected?: readonly string[] | '*';
}

interface BatchOptions {
  /** The rows are in their stored form already: digests are not computed from what are digests. */
  readonly verbatim?: boolean;
}

/** Rows of one workspace. All writes made through one `Workspace` inside `transaction` commit as one serial. */
export interface Workspace {
  readonly id: string;
  readonly name: string;
  entity(name: string): EntityStore;
  /** All or nothing, one serial; `work` may run again when the database asks for a retry. */
  transaction<T>(work: (inside: Workspace) => Promise<T>): Promise<T>;
  /** One view of the rows as of now, for as long as `work` reads; it must not wait for anybody else meanwhile. */
  snapshot<T>(work: (inside: Workspace) => Promise<T>): Promise<T>;
  /**
   * Within a transaction: has it be the only one to make this workspace what a document says, until it ends. False: another one does
   * so now, of whichever process on the database.
   */
  lockForDocument(): Promise<boolean>;
  /** `GET /tags` and `GET /tags/{tag}`: which rows carry which tags, ordered by row id. */
  tags(query?: TagQuery): Promise<TagPage>;
}

/** Which tags, and which page of the rows that carry them. */
export interface TagQuery {
  readonly tag?: string;
  /** 1 to 1000; 100 when absent. */
  readonly size?: number;
  readonly offset?: string;
}

/** As `GET /tags` shows it: a row once for each of its tags. */
export interface TagPage {
  readonly tags: readonly { readonly entity_name: string; readonly entity_id: string; readonly tag: string }[];
  readonly offset?: string;
}

/** One committed change of one row. Rows written in one transaction share a serial. */
export interface Change {
  readonly serial: number;
  readonly entity: string;
  readonly id: string;
  readonly operation: 'create' | 'update' | 'delete';
}

/** What changed after some serial: the log's entries and the rows they name, read in one database snapshot. */
export interface Delta {
  /** The serial of the snapshot: the highest whose changes are in it. */
  readonly serial: number;
  /** What tells that commit from another of the same serial; null before the first one. */
  readonly commit?: string | null;
  /** Oldest first, cascaded deletes included. Empty when nothing changed, or only `advanceTo` moved the serial. */
  readonly changes: readonly Change[];
  /** By entity: the rows named by `changes`, as they are in the snapshot. Ids that are gone are absent. */
  readonly rows: ReadonlyMap<string, readonly BundleRow[]>;
}

/**
 * What the publisher reads: rows as they travel, with the `ws_id` of their workspace, and the log that says which of
 * them changed. A row's `ttl`, where its
 * entity has one, is the absolute time in Unix seconds at which the row vanishes; null for never.
 */
export interface ChangeFeed {
  /** The highest committed serial; 0 in a new database. */
  serial(): Promise<number>;
  /**
   * Everything after `serial` in one snapshot, so that no transaction is ever seen in part; or null when the reader must load
   * everything again: the log no longer reaches back that far, or `serial` is not the `commit` the reader has read. An older
   * database that takes the place of this one (a backup, a standby that was behind) gives the same numbers to other changes.
   */
  delta(serial: number, commit?: string | null): Promise<Delta | null>;
  /** Every row of the given entities, all workspaces, in pages, together with the serial of one consistent snapshot. */
  snapshot(
    entities: readonly string[],
  ): Promise<{ serial: number; commit?: string | null; rows: AsyncIterable<{ entity: string; row: BundleRow }> }>;
  /** Moves the sequence past `serial` (a restored database, see DESIGN 5) by an entry of its own in the log. */
  advanceTo(serial: number): Promise<void>;
  /** Calls back soon after a commit by this or another control plane; also polls, since NOTIFY is only a hint. */
  subscribe(onChange: () => void): () => void;
}

/** What one transaction changed, as the change log has it. */
export interface LoggedCommit {
  readonly serial: number;
  /** Unix seconds, with fractions, by the database's clock. */
  readonly at: number;
  /** Null: nobody said, as SQL by hand does not. */
  readonly by: Author | null;
  /** What tells it from another of the same serial. */
  readonly commit: string;
  /** How many rows; the first 100 are named. */
  readonly total: number;
  readonly changes: readonly Omit<Change, 'serial'>[];
}

/** The change log, for those who tell of it. */
export interface ChangeLog {
  /** Where it ends, with what tells this commit from another of the same serial (an older database was restored). */
  newest(): Promise<{ readonly serial: number; readonly commit: string | null }>;
  /**
   * The first 200 commits behind a serial, oldest first; `from` is the commit at that serial. Null: the log no longer reaches
   * back to it, or never came so far.
   */
  after(serial: number): Promise<{
    readonly from: string | null;
    readonly commits: readonly LoggedCommit[];
    readonly more: boolean;
  } | null>;
  /** Commits, the newest first, as far back as the log reaches; of each the first 20 rows are named. */
  page(query: { readonly size?: number; readonly offset?: string }): Promise<{
    readonly commits: readonly NamedCommit[];
    readonly offset?: string;
  }>;
}

/** A commit with what its rows are called. */
export interface NamedCommit extends Omit<LoggedCommit, 'commit' | 'changes'> {
  readonly changes: readonly (Omit<Change, 'serial'> & {
    /** Null: it is gone, or has none. */
    readonly name: string | null;
  })[];
}

/** A data plane as `/clustering/data-planes` shows it. Times in Unix seconds. */
export interface NodeRecord {
  /** UUID. */
  readonly id: string;
  readonly hostname: string;
  readonly ip: string;
  readonly version: string;
  readonly config_hash: string | null;
  readonly sync_status: string;
  readonly last_seen: number;
  readonly updated_at: number;
  /** Seconds until it is forgotten unless heard of again. */
  readonly ttl: number;
  readonly labels: Readonly<Record<string, unknown>>;
  readonly cert_details: Readonly<Record<string, unknown>>;
  /** The serial it applied last. */
  readonly serial: number | null;
  /** Milliseconds that took it; null: not known. */
  readonly load_ms: number | null;
  /** Why it refused, or is not given, what came after. */
  readonly reason: string | null;
  /** The group it is of, as the control plane that it is connected to found it last. */
  readonly group: string | null;
  /** The rest of what it said of itself: group, plugins, capabilities… */
  readonly description: Readonly<Record<string, unknown>>;
  /** What it last said of its targets, by upstream. */
  readonly health: Readonly<Record<string, unknown>>;
  /** What it applied, refused or was not given, the newest first. */
  readonly history: readonly NodeStep[];
  /** Of `shared/cluster/capabilities.ts`. */
  readonly capabilities: readonly string[];
  /** It is connected to some control plane, and was heard of lately. */
  readonly connected: boolean;
  /** The keys its id belongs to. */
  readonly keys: NodeKeys;
  /** Who said last, in vain, that it was this node: see `RefusedClaim`. */
  readonly refused_claim: Readonly<Record<string, unknown>> | null;
}

/** A target of an upstream, and what both are called. */
export interface NamedTarget {
  readonly upstream: string;
  readonly upstream_name: string;
  /** Name of the workspace. */
  readonly workspace: string;
  readonly target: string;
  /** As in `127.0.0.1:80`. */
  readonly address: string;
}

/** What a list shows of it. */
export type NodeSummary = Omit<NodeRecord, 'description' | 'health' | 'history'>;

/** Where a data plane is with its config. */
export interface NodeStanding {
  readonly id: string;
  readonly hostname: string;
  readonly group: string;
  readonly connected: boolean;
  /** What it applied last. */
  readonly serial: number | null;
  readonly config_hash: string | null;
  readonly sync_status: string;
  /** Why it refused (`rejected`) or is not given what came after. */
  readonly reason: string | null;
  readonly rejected: boolean;
  /** When that was found, in Unix seconds with fractions. */
  readonly at: number;
}

/** What a data plane is known again by. Both null: a data plane of an earlier version in `cluster_mtls = shared`. */
export interface NodeKeys {
  /** The public half of the key pair the node made itself. */
  readonly node: string | null;
  /** SHA-256 of the public key of its certificate, in `cluster_mtls = pki`. */
  readonly certificate: string | null;
}

/** Somebody with a valid certificate who said it was a node whose key it does not have. */
export interface RefusedClaim {
  /** Unix seconds. */
  readonly at: number;
  readonly ip: string;
  readonly hostname: string;
  /** The subject of its certificate. */
  readonly certificate: string;
}

/** What a control plane writes down of a data plane that is connected to it; the rest follows. */
export type NodeReport = Omit<
  NodeRecord,
  'last_seen' | 'updated_at' | 'ttl' | 'connected' | 'refused_claim' | 'group' | 'history' | 'capabilities' | 'load_ms'
>;

/** So many data planes are in one state. */
export interface NodeTally extends Pick<NodeRecord, 'connected' | 'sync_status'> {
  readonly nodes: number;
}

/** A node, and the seconds after which it is forgotten. */
export interface LivingNode {
  readonly id: string;
  readonly node: NodeReport;
  readonly ttl: number;
}

/** The data planes this cluster has heard of, in the database so that every control plane sees all of them. */
export interface NodeRegistry {
  /**
   * Creates or replaces; `last_seen` and `updated_at` become now, and it is forgotten `ttl` seconds from now.
   * `controlPlane` is the id of the one it is connected to. False, and nothing is written, when the id belongs to other keys.
   */
  put(node: NodeReport, ttl: number, controlPlane: string): Promise<boolean>;
  /** The same of many at once, no two with the same id: the ids of those that were written. */
  putAll(nodes: readonly LivingNode[], controlPlane: string): Promise<ReadonlySet<string>>;
  /**
   * Of nodes that are written down as connected to `controlPlane`, that they live: the ids of those that still are, in a record that is
   * not forgotten.
   */
  renew(nodes: readonly Pick<LivingNode, 'id' | 'ttl'>[], controlPlane: string): Promise<ReadonlySet<string>>;
  /** The keys an id belongs to, and whether another id has the same certificate. Null: nobody's, or of no known keys. */
  keys(id: string): Promise<{ readonly keys: NodeKeys; readonly certificateIsCommon: boolean } | null>;
  /** Gives an id other keys, if it still has those; false when it has not. */
  rebind(id: string, from: NodeKeys, to: NodeKeys): Promise<boolean>;
  noteRefused(id: string, claim: RefusedClaim): Promise<void>;
  /** Forgets a node, and with it whose its id was; with `keys` only while it is theirs. False when it was not known. */
  forget(id: string, keys?: NodeKeys): Promise<boolean>;
  /** These nodes (null: all) are no longer connected to that control plane; one that is connected to another stays so. */
  left(ids: readonly string[] | null, controlPlane: string): Promise<void>;
  /** What each connected node says of the targets of an upstream. */
  health(
    upstream: string,
  ): Promise<readonly { readonly id: string; readonly hostname: string; readonly targets: unknown }[]>;
  get(id: string): Promise<NodeRecord | null>;
  /** The targets of these upstreams (ids); those that are gone are absent. */
  targetsOf(upstreams: readonly string[]): Promise<readonly NamedTarget[]>;
  /**
   * Nodes that are connected to other control planes than `controlPlane`, and which config is withheld from or which lack
   * any of what is needed: 20 at most, by id.
   */
  troubledElsewhere(controlPlane: string, needed: Needed): Promise<readonly NodeRecord[]>;
  /**
   * Where those are that are not connected to `controlPlane`; with `seconds` only those of whom something was written, or whose
   * connection was found to be lost, in so many last ones.
   */
  standingElsewhere(controlPlane: string, seconds: number | null): Promise<readonly NodeStanding[]>;
  /** All of them, and those of an IPv4 address or a network of IPv6 (`2001:db8::/64`). */
  count(network: string): Promise<{ readonly all: number; readonly ofAddress: number }>;
  /** How many there are of each state. */
  tally(): Promise<readonly NodeTally[]>;
  /** By id; fewer than asked for where they would be too many bytes. */
  page(query?: {
    readonly size?: number;
    readonly offset?: string;
  }): Promise<{ nodes: NodeSummary[]; offset?: string }>;
}

/** What control planes on one database tell each other. Kept for minutes: who lost the database for a while hears it later. */
export interface ControlPlaneMessages {
  /** To all that subscribe now, the sender included, in the order in which they were sent. */
  send(text: string): Promise<void>;
  subscribe(onMessage: (text: string) => void): () => void;
}

/** A statement about signing keys (compact JWS), and the private half of the key it brings, sealed; null: it brings none, or by hand. */
export interface StatementRow {
  readonly number: number;
  readonly statement: string;
  readonly sealed: unknown;
}

/** What the cluster says of its signing keys. */
export interface SigningKeyLog {
  /** In order. */
  read(): Promise<readonly StatementRow[]>;
  /** `behind`: the number of the newest one when it was made, null: there was none. False when another one has been appended since. */
  append(row: StatementRow, behind: number | null): Promise<boolean>;
  /** Calls back soon after a statement by this or another control plane, and after every outage. */
  subscribe(callback: () => void): () => void;
}

/** What data planes count together: see `shared/cluster/counts.ts`. */
export interface SharedCounts {
  /** Takes down what one has counted; gives what the others have, window by window. Throws without a database. */
  compare(told: {
    readonly node: string;
    readonly ledger: string;
    readonly counts: readonly Count[];
  }): Promise<readonly number[]>;
}

/** Where a release is on its way: see docs/releases.md. */
export type ReleaseState = 'scheduled' | 'rolling' | 'paused' | 'live' | 'replaced' | 'aborted' | 'published';

/** What a group was, is or will be given: `published` is what it was given at once, as it was written. Times are Unix seconds. */
export interface StoredRelease {
  readonly id: string;
  /** Grows with every release of any group. */
  readonly number: number;
  readonly group: string;
  readonly state: ReleaseState;
  /** Why it is in this state, where that is not plain. */
  readonly reason: string | null;
  /** What its manifest is signed with. */
  readonly serial: number;
  /** What it was signed with first: requests that it serves are told as those of this serial, or of a later one. */
  readonly began: number;
  /** Up to where the change log is in it. */
  readonly upto: number;
  /** Up to where the control plane that made it had followed the change log. */
  readonly seen: number;
  readonly configHash: string;
  /** Its manifest; the serial in it says nothing. */
  readonly content: Manifest;
  /** Who gets it, one after the other, before all do. */
  readonly rings: readonly Ring[];
  /** The ring it is at, from 0. */
  readonly ring: number;
  /** Since when it is in this state and ring, and how long that is by the database's clock, in seconds. */
  readonly since: number;
  readonly age: number;
  /** When it begins; null: at once. */
  readonly at: number | null;
  /** That time has come, by the database's clock. */
  readonly isDue: boolean;
  /** The release whose content it brings back. */
  readonly rollbackTo: string | null;
  readonly createdAt: number;
}

/** Where a release is, without what is in it. */
export type ReleaseStanding = Omit<StoredRelease, 'content'>;

export interface NewRelease
  extends Pick<StoredRelease, 'group' | 'upto' | 'seen' | 'content' | 'rings' | 'at' | 'rollbackTo'> {
  readonly state: 'scheduled' | 'rolling' | 'live';
  /** Null: a new one, above all that there were. Else it is the group's first, of what its data planes have already. */
  readonly serial: number | null;
  /** The release that is live when it is made, as whoever makes it saw it; null: it is the group's first. */
  readonly after: string | null;
  /** Everything that the manifest leads to. */
  readonly objects: readonly ObjectName[];
}

/** Why a release is not written down: another one of its group is on its way, or another one is live than was seen. */
export type ReleaseObstacle = 'on its way' | 'moved on';

/** What is kept of releases that are over. */
export interface ReleaseRetention {
  /** Of each group. 0: none, and nothing of what groups are given at once. */
  readonly count: number;
  /** Seconds since it was over; 0: as old as it likes to be. */
  readonly age: number;
}

/** Where a release goes from where it is. */
export interface ReleaseStep {
  readonly state: 'rolling' | 'paused' | 'live' | 'aborted';
  readonly ring: number;
  readonly reason: string | null;
}

/** A write that went into a release. */
export interface ReleasedWrite extends Change {
  /** When it was committed, in Unix seconds. */
  readonly at: number;
}

/** The releases of groups, in the database. Every change wakes the publishers of all control planes. */
export interface ReleaseStore {
  /** Those that are live, and those on their way. */
  current(): Promise<readonly StoredRelease[]>;
  get(id: string): Promise<StoredRelease | null>;
  /** Newest first. Throws an error for an `offset` that no page ended with. */
  page(query: {
    readonly group?: string;
    readonly size?: number;
    readonly offset?: string;
  }): Promise<{ readonly releases: readonly StoredRelease[]; readonly offset?: string }>;
  /**
   * The writes that a release has and the one before it in its group had not, the newest first, 1,000 at most. Null: there
   * is none before it, or the change log no longer reaches back to that.
   */
  writes(release: StoredRelease): Promise<readonly ReleasedWrite[] | null>;
  /** Writes a release down with its objects, or says what is in its way. */
  create(
    release: NewRelease,
    objectOf: (name: ObjectName) => PackedObject | undefined,
  ): Promise<StoredRelease | ReleaseObstacle>;
  /**
   * Keeps what a group was given at once. False when that is kept already, or something newer, or the group is given releases.
   */
  keep(
    published: Pick<NewRelease, 'group' | 'content' | 'objects'>,
    objectOf: (name: ObjectName) => PackedObject | undefined,
  ): Promise<boolean>;
  /** Forgets what is over and beyond these bounds, with the objects that nothing else needs. Gives how many releases went. */
  forget(retention: ReleaseRetention): Promise<number>;
  /** Moves a release on. Null, and nothing done, when it is not as the caller knows it: another control plane was first. */
  step(release: StoredRelease, step: ReleaseStep): Promise<StoredRelease | null>;
  /** Those that came to where they are in so many last seconds, oldest first, but for what was given at once. */
  steps(seconds: number): Promise<readonly ReleaseStanding[]>;
  /** Ends all of a group that no longer has any. */
  end(group: string, reason: string): Promise<void>;
  /** Those of these objects that some release needs. */
  objects(names: readonly ObjectName[]): Promise<readonly PackedObject[]>;
}

/** What data planes share: see `shared/cluster/records.ts`. */
export interface SharedRecords {
  /**
   * Does what a data plane says, in order and in one transaction; an outcome for each, that what was refused leaves the others
   * as they are. Throws without a database.
   */
  apply(node: string, changes: readonly RecordChange[]): Promise<readonly RecordOutcome[]>;
  /** The newest change. */
  position(): Promise<RecordPosition>;
  /** What comes behind a position; everything when it is none of this log, or deletions behind it were forgotten. */
  after(known: RecordPosition | null): Promise<RecordPage>;
  /** Calls back soon after a change by this or another control plane. */
  subscribe(onChange: () => void): () => void;
}

/** A control plane's whole state, in whichever database. Close it when done. */
export interface Store {
  readonly driver: 'pglite' | 'postgres';
  /** The named workspace, or null. */
  workspace(name: string): Promise<Workspace | null>;
  readonly luaPlugins: LuaPlugins;
  readonly changes: ChangeFeed;
  readonly log: ChangeLog;
  readonly nodes: NodeRegistry;
  readonly messages: ControlPlaneMessages;
  readonly signingKeys: SigningKeyLog;
  readonly records: SharedRecords;
  readonly counts: SharedCounts;
  readonly releases: ReleaseStore;
  readonly telemetry: TelemetryHistory;
  readonly expirations: Expirations;
  /** How the database is, as far as can be told in `limit` milliseconds, less than a second when absent. Never throws. */
  condition(limit?: number): Promise<DatabaseCondition>;
  readonly figures: StoreFigures;
  /** Null: an embedded database. */
  pool(): ConnectionPool | null;
  close(): Promise<void>;
}
