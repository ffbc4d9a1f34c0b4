import type { Manifest } from '../../../shared/bundle/format.ts';
import type { Needed } from '../../../shared/cluster/compatibility.ts';
import type { HostKind } from '../../../shared/cluster/hosts.ts';
import type { SyncStatus } from '../../../shared/cluster/messages.ts';
import type { ReplayFigures, RequestShape } from '../../../shared/cluster/replay.ts';
import type { LogLevel } from '../../instance/log-levels.ts';
import type { NodeStep } from '../../store/node-step.ts';

/**
 * What the Admin API shows and says of data planes. The cluster listener's node registry implements it; a control
 * plane without one (in tests) passes null.
 */
export interface ClusterView {
  /** Known data planes, by id, in pages. */
  dataPlanes(page: { readonly size: number; readonly offset?: string }): Promise<{
    readonly rows: readonly DataPlaneRecord[];
    /** Opaque token of the next page, absent on the last. */
    readonly offset?: string;
  }>;
  dataPlane(id: string): Promise<DataPlaneDetail | null>;
  /** The upstreams a data plane has told of, as it sees them. Null: there is no such data plane. */
  upstreamsOf(id: string): Promise<readonly SeenUpstream[] | null>;
  /** Names of the groups, `default` included, in the order data planes are matched with them. */
  groups(): readonly string[];
  /** What is published to a group. */
  group(name: string): GroupState;
  /** What every known data plane serves, by what is known of it now. */
  serials(): Promise<readonly ServedSerial[]>;
  /** Has this control plane look at once what is committed, and at whether that is in the database it has published from. */
  settle(): Promise<void>;
  /**
   * From which serial on a data plane serves what the database has at this one: a later one, or none yet, where the database lost some of
   * what data planes had, as after a failover.
   */
  certain(serial: number): number;
  /** Forgets a data plane and whose its id was, and ends its link. False when there was none. */
  forget(id: string): Promise<boolean>;
  /** How far what is committed reaches, as this control plane knows without asking anybody. */
  reach(): ConfigReach;
  /**
   * To be asked after a write: in words, what it does not reach and why; null when it reaches every connected data plane.
   * `needed` is what it asks of data planes, perhaps for the first time.
   */
  unreached(needed: Needed): Promise<string | null>;
  /** What each connected data plane last said of an upstream's targets. Empty when none has said anything. */
  targetHealth(upstream: string): Promise<readonly NodeUpstreamHealth[]>;
  /** Tells every connected data plane; returns once the order is on its way. */
  setTargetHealth(order: TargetHealthOrder): Promise<void>;
  /** Has every connected data plane forget copies of answers; returns once the order is on its way. */
  purge(order: CopyPurge): Promise<void>;
  /** Tells the other control planes on the database; returns once the order is on its way. */
  setLogLevel(order: LogLevelOrder): Promise<void>;
  /**
   * The copy a data plane that is connected here has under a key, of one plugin's configuration or (null) of any. `unknown`: none of
   * those that answered has one, but others may.
   */
  copy(
    key: string,
    plugin: string | null,
  ): Promise<
    | { readonly outcome: 'found'; readonly node: string; readonly body: Readonly<Record<string, unknown>> }
    | { readonly outcome: 'none' | 'unknown' }
  >;
  /** Has a data plane that is connected here say where a request would go, and why: one with the newest config, or this one. */
  explain(
    request: Readonly<Record<string, unknown>>,
    node?: string,
  ): Promise<
    | {
        readonly outcome: 'answered';
        /** Id of the data plane. */
        readonly node: string;
        readonly status: number;
        readonly body: Readonly<Record<string, unknown>>;
      }
    /** No data plane is connected; none answered in time. */
    | { readonly outcome: 'disconnected' | 'silent' }
  >;
  /** Has a connected data plane run requests over a candidate for its group, without serving it or sending anything. */
  replay(replay: Replay): Promise<ReplayOutcome>;
}

/** Requests that a candidate for a group is to be tried with. */
export interface Replay {
  readonly candidate: Manifest;
  /** Null: those that the data plane remembers. */
  readonly requests: readonly RequestShape[] | null;
  /** How many that differ are told one by one. */
  readonly list: number;
  /** Id or hostname of the data plane; null: any. */
  readonly node: string | null;
}

export type ReplayOutcome =
  | {
      readonly outcome: 'done';
      readonly node: { readonly id: string; readonly hostname: string };
      readonly figures: ReplayFigures;
      /** Of the config it was compared with; null: the data plane was given none. */
      readonly serial: number | null;
      readonly configHash: string | null;
    }
  /** The data plane says so. */
  | { readonly outcome: 'refused'; readonly hostname: string; readonly status: number; readonly message: string }
  /** There is none. */
  | { readonly outcome: 'disconnected' }
  /** After so many requests. */
  | { readonly outcome: 'silent'; readonly hostname: string; readonly done: number };

/** Which copies of answers are void: those of a plugin's configuration by its id, or one by its key. */
export interface CopyPurge {
  readonly of: 'plugin' | 'key';
  readonly name: string;
}

/** A log level, and the seconds it is to last. */
export interface LogLevelOrder {
  readonly level: LogLevel;
  readonly seconds: number;
}

/** How far the newest config reaches. */
export interface ConfigReach {
  /** Of the newest release. */
  readonly serial: number;
  /** Why nothing newer is published, so that every data plane keeps what it has; null when all is well. */
  readonly trouble: string | null;
  /** How many data planes are connected to this control plane, and which of them do not get the newest release. */
  readonly connected: number;
  readonly withheld: readonly WithheldNode[];
}

/** A data plane that does not get the newest config. */
export interface WithheldNode {
  readonly id: string;
  readonly hostname: string;
  readonly reason: string;
}

/** What a group's data planes are given. */
export interface GroupState {
  /** Why they keep what they have; null when all is well. */
  readonly trouble: string | null;
  /** Of the newest release; null: there has been none. */
  readonly serial: number | null;
  readonly config_hash: string | null;
}

/** Which config a data plane serves. */
export interface ServedSerial {
  readonly id: string;
  readonly hostname: string;
  readonly group: string;
  readonly connected: boolean;
  /** Null: none. */
  readonly serial: number | null;
  /** Why it refused its last config, or why config is withheld from it; null when all is well. */
  readonly reason: string | null;
}

/** A row of `GET /clustering/data-planes`: Kong's fields and five of our own. Times are Unix seconds. */
export interface DataPlaneRecord {
  readonly id: string;
  readonly hostname: string;
  readonly ip: string;
  readonly version: string | null;
  readonly config_hash: string;
  readonly sync_status: SyncStatus;
  readonly last_seen: number;
  readonly updated_at: number;
  /** Seconds until the record is forgotten. */
  readonly ttl: number;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly cert_details: { readonly expiry_timestamp: number } | null;
  /** Kong's second protocol, which data planes of ours do not speak: always empty. */
  readonly rpc_capabilities: readonly string[];
  /** Whether it is connected to some control plane. */
  readonly state: 'connected' | 'disconnected';
  /** Serial of the config it applied last; null when it has none. */
  readonly serial: number | null;
  /** The group whose config it is given. */
  readonly group: string;
  /** Why it refused its last config, or why config is withheld from it; null when all is well. */
  readonly rejection_reason: string | null;
  /** Who said last, in vain, that it was this node: it had a valid certificate, but not the node's key. */
  readonly refused_claim:
    | ({ readonly at: number } & Readonly<Partial<Record<'ip' | 'hostname' | 'certificate', string>>>)
    | null;
}

/** What `GET /clustering/data-planes/{id}` adds to a record of the list. */
export interface DataPlaneDetail extends DataPlaneRecord {
  readonly host: HostKind;
  readonly connected: boolean;
  readonly plugins: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
  /** Milliseconds that its config took it, from its arrival until all its processes served it; null: not known. */
  readonly load_ms: number | null;
  /** Entities whose settings this data plane's runtime cannot honour. */
  readonly conflicts: readonly CapabilityConflict[];
  /** What it applied, refused or was not given, the newest first. */
  readonly history: readonly NodeStep[];
}

/** An upstream as one data plane sees it. */
export interface SeenUpstream {
  readonly id: string;
  readonly name: string;
  readonly workspace: string;
  readonly targets: readonly (NodeTargetHealth & { readonly id: string; readonly target: string })[];
}

interface CapabilityConflict {
  readonly entity: string;
  readonly id: string;
  readonly name: string | null;
  readonly capability: string;
  readonly reason: string;
}

/** Kong's words for a target's state, as its health endpoints answer them. */
export type Health = 'HEALTHY' | 'UNHEALTHY' | 'HEALTHCHECKS_OFF' | 'DNS_ERROR';

/** One upstream as one data plane sees it. */
export interface NodeUpstreamHealth {
  readonly node: { readonly id: string; readonly hostname: string };
  /** By target id. */
  readonly targets: Readonly<Record<string, NodeTargetHealth>>;
}

/** One target as one data plane sees it: the worst its addresses allow, and each of them. */
export interface NodeTargetHealth {
  /** Kind of record its name leads by: `A`, `AAAA`, `SRV`; null while it leads nowhere. */
  readonly dns: string | null;
  readonly health: Health;
  readonly addresses: readonly {
    readonly ip: string;
    readonly port: number;
    readonly weight: number;
    readonly health: Exclude<Health, 'DNS_ERROR'>;
  }[];
}

/** What `PUT` on a target's `healthy` and `unhealthy` asks of every data plane. */
export interface TargetHealthOrder {
  /** Ids of the rows. */
  readonly upstream: string;
  readonly target: string;
  /** One `ip:port` of the target; null: all of them. */
  readonly address: string | null;
  readonly healthy: boolean;
}

/** Every known data plane, page after page. */
export async function* everyDataPlane(cluster: ClusterView): AsyncGenerator<DataPlaneRecord> {
  let page = await cluster.dataPlanes({ size: 1000 });
  yield* page.rows;
  while (page.offset !== undefined) {
    page = await cluster.dataPlanes({ size: 1000, offset: page.offset });
    yield* page.rows;
  }
}
