import type { Manifest } from '../bundle/format.ts';
import type { Row } from '../record.ts';
import type { Count } from './counts.ts';
import type { HostKind } from './hosts.ts';
import type { RecordChange, RecordOutcome, RecordPage, RecordPosition } from './records.ts';

/**
 * What the planes say to each other on `GET /v1/link` (WebSocket, one JSON text frame per message), and in the bodies
 * of its plain HTTPS form. Unknown message types and unknown members are ignored, so either side may be newer.
 *
 * The plain HTTPS form; `node` is the id of the node's description, `wait` is in seconds:
 *
 *     GET  /v1/challenge                       200 and `{challenge}`, good for one hello within a minute
 *     POST /v1/status?node=<uuid>              a `FromDataPlane` as JSON, the hello first: 200 and `{session}` for one with
 *                                              a proof, 204 for everything else
 *     GET  /v1/manifest?node=<uuid>&wait=<s>   200 and a `ManifestMessage` without inline objects, with an ETag, or an
 *                                              `OrderMessage`; 304 when If-None-Match still holds after `wait`; 409 and the
 *                                              order `Withheld`; 428 when the control plane knows no hello of this node
 *     GET  /v1/objects/<sha256>                200 and the gzip bytes as `application/gzip`, no Content-Encoding; 404
 *
 * Whoever holds the certificates can speak on this link, and in `cluster_mtls = shared` every data plane does. So what
 * changes what a data plane does counts by its signature alone: the manifest, and every other `Order`, which comes in
 * an `OrderMessage` (see `order.ts`). Only to a data plane of an earlier version, whose hello has no `nonce`, orders are
 * sent as they are.
 *
 * The other way round, a node's id belongs to whoever said it first: to the key pair that the data plane has made itself
 * and proves with its hello (see `node-proof.ts`), and in `cluster_mtls = pki` to the key of its certificate. The
 * challenge for the proof comes in the header `Holdfast-Challenge` of the answer to the upgrade, or from `/v1/challenge`;
 * the `session` that a proved hello is answered with goes into the header `Holdfast-Session` of what is said after it.
 * A hello for an id that belongs to another key ends the link with 4423, or is answered with 403; what goes beyond a bound
 * (`bounds.ts`, and quotas of the control plane) ends it with 4400 or 4429, or is answered with 400 or 429.
 */

/** Who a data plane is and what it can do. */
export interface NodeDescription {
  /** UUID, kept across restarts. */
  readonly id: string;
  readonly hostname: string;
  /** Holdfast's version on the data plane. */
  readonly version: string;
  /** The runtime it runs on. */
  readonly host: HostKind;
  /** The setting `cluster_group`: a label like any other, to the control plane. */
  readonly group: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Plugins it can run, with versions. */
  readonly plugins: Readonly<Record<string, string>>;
  /** What its runtime can do; see `capabilities.ts`. */
  readonly capabilities: readonly string[];
}

/** First message of a data plane. `manifest` is the signed manifest it holds, verbatim, so that a control plane on a
 * restored database learns how far the cluster's serial had come. */
export interface Hello {
  readonly type: 'hello';
  readonly node: NodeDescription;
  readonly manifest: string | null;
  /** Made for this connection: only orders that name it are obeyed. Absent: a data plane that knows no signed orders. */
  readonly nonce?: string;
  /** Answers the challenge of the control plane, with the node's own key. Absent: a data plane of an earlier version. */
  readonly proof?: string;
  /** It is of the group that an `assigned` order says. Absent: a data plane of an earlier version, which is of its own `group`. */
  readonly assignable?: boolean;
}

/** ACK: the config of `serial` is what requests see now. */
interface Applied {
  readonly type: 'applied';
  readonly serial: number;
  readonly config_hash: string;
  /** Milliseconds from when its manifest was looked at until all its processes served it, by the runtime's clock. Absent: an earlier version. */
  readonly load_ms?: number;
}

/** NACK: `serial` was refused and the earlier config kept. `serial` is null when the manifest could not be read. */
export interface Rejected {
  readonly type: 'rejected';
  readonly serial: number | null;
  readonly reason: string;
}

/**
 * Every 30 s from the data plane, answered in kind with the serial that was offered last. `health` carries target health
 * for the control plane's view.
 */
interface Heartbeat {
  readonly type: 'heartbeat';
  readonly serial: number | null;
  readonly config_hash: string | null;
  readonly health?: Readonly<Record<string, unknown>>;
}

/** What leads to the key that a message is signed by: every statement about keys (`shared/bundle/key-statement.ts`), in order. */
interface WithKeys {
  /** Absent: there is none, or they were said before on this connection. */
  readonly keys?: readonly string[];
}

/** The current manifest; `objects` holds base64 gzip bytes by object name when few are missing at the data plane. */
export interface ManifestMessage extends WithKeys {
  readonly type: 'manifest';
  readonly manifest: string;
  readonly objects: Readonly<Record<string, string>>;
}

/** A manual health change from the Admin API (`PUT /upstreams/{u}/targets/{t}/unhealthy`). */
export interface TargetHealthMessage {
  readonly type: 'target_health';
  readonly upstream: string;
  readonly target: string;
  readonly address: string | null;
  readonly healthy: boolean;
}

/** `POST /debug/route` at the control plane: the data plane answers with `Explained` of the same `id`. */
export interface ExplainMessage {
  readonly type: 'explain';
  readonly id: string;
  /** The request described, as the data plane's own `POST /debug/route` takes it. */
  readonly request: Readonly<Record<string, unknown>>;
}

/** The Admin API's `DELETE /proxy-cache…`: what of the copies of answers is void from now on. */
export interface PurgeMessage {
  readonly type: 'purge';
  /** Those of a plugin's configuration (`name` is its id), or one (`name` is its key). */
  readonly of: 'plugin' | 'key';
  readonly name: string;
}

/** `GET /proxy-cache/{key}`: the data plane answers with `Explained` of the same `id`, 404 when it has none. */
export interface ShowCopyMessage {
  readonly type: 'show_copy';
  readonly id: string;
  readonly key: string;
  /** Only of this plugin's configuration; null: of any. */
  readonly plugin: string | null;
}

/**
 * `POST /releases/{release}/replay`: the data plane answers with `Explained` of the same `id`, whose body is `ReplayFigures` with the serial
 * and config hash it compared with. The candidate is not signed by itself: it is for looking at, and no manifest that could be served.
 */
export interface ReplayMessage {
  readonly type: 'replay';
  readonly id: string;
  /** The replay it is part of. */
  readonly run: string;
  readonly candidate: Manifest;
  /** Each a `RequestShape` as it travels. Null: those of the data plane's own sample. */
  readonly requests: readonly Readonly<Row>[] | null;
  /** How many that differ are told one by one. */
  readonly list: number;
  /** No more requests come. */
  readonly last: boolean;
}

/** The answer to a question: what the data plane's own `POST /debug/route` answers, or a copy as Kong shows it. */
export interface Explained {
  readonly type: 'explained';
  readonly id: string;
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What a data plane did with shared records, or asks of them: answered with `RecordsDone` of the same `id`. One at a time. */
export interface RecordsMessage {
  readonly type: 'records';
  readonly id: string;
  readonly changes: readonly RecordChange[];
}

/**
 * Up to where a data plane knows the shared records; null: none. Answered with `RecordsNews` at once, and when it has all there is
 * once more as soon as there is something. It says so anew whenever it has taken over what it was told.
 */
export interface RecordsKnown {
  readonly type: 'records_known';
  readonly position: RecordPosition | null;
}

/** An outcome for each change; null: the control plane cannot say, as its database does not answer. */
export interface RecordsDone {
  readonly type: 'records_done';
  readonly id: string;
  readonly outcomes: readonly RecordOutcome[] | null;
}

/** What a data plane's ledger has counted in windows that all share: answered with `Counted` of the same `id`. */
export interface CountsMessage {
  readonly type: 'counts';
  readonly id: string;
  /** Whose counts these are: another one once a data plane was started again. */
  readonly ledger: string;
  readonly counts: readonly Count[];
}

/** What others have counted, window by window; null: the control plane cannot say. */
export interface Counted {
  readonly type: 'counted';
  readonly id: string;
  readonly others: readonly number[] | null;
}

export interface RecordsNews {
  readonly type: 'records_news';
  readonly page: RecordPage;
}

/** Config is being withheld from this node, and why (version or plugin incompatibility). */
export interface Withheld {
  readonly type: 'withheld';
  readonly sync_status: SyncStatus;
  readonly reason: string;
}

/**
 * Which group this node is of, by its labels: it takes manifests of that one from now on. Said on every connection before the
 * first manifest, and whenever it is another; a data plane whose hello is not `assignable` takes those of its own `group` only.
 */
export interface AssignedMessage {
  readonly type: 'assigned';
  readonly group: string;
}

/** What a data plane does, or tells, because a control plane says so; the manifest, signed by itself, apart. */
export type Order =
  | AssignedMessage
  | TargetHealthMessage
  | ExplainMessage
  | ReplayMessage
  | PurgeMessage
  | ShowCopyMessage
  | Withheld
  | RecordsDone
  | RecordsNews
  | Counted;

/** An order, signed: see `order.ts`. */
export interface OrderMessage extends WithKeys {
  readonly type: 'order';
  readonly order: string;
}

export type FromDataPlane =
  | Hello
  | Applied
  | Rejected
  | Heartbeat
  | Explained
  | RecordsMessage
  | RecordsKnown
  | CountsMessage;
export type FromControlPlane = ManifestMessage | OrderMessage | Heartbeat | Order;

/** Kong's values, in its spelling. */
export const SYNC_STATUSES = [
  'unknown',
  'normal',
  'kong_version_incompatible',
  'plugin_set_incompatible',
  'plugin_version_incompatible',
  'filter_set_incompatible',
] as const;

export type SyncStatus = (typeof SYNC_STATUSES)[number];

/** Milliseconds. */
export const HEARTBEAT_INTERVAL = 30_000;
/** A peer silent for this long is gone: 1.5 heartbeats, as in Kong. */
export const HEARTBEAT_DEADLINE = 45_000;
