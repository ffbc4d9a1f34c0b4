import type { EventHub } from '../events/hub.ts';
import type { LogLevel } from '../instance/log-levels.ts';
import type { SigningRing } from '../keys/signing-ring.ts';
import type { BrowserGuard } from '../listeners/browser-guard.ts';
import type { ConnectionCounts } from '../listeners/connection-counts.ts';
import type { ReleaseDesk } from '../releases/desk.ts';
import type { Settings } from '../settings/properties.ts';
import type { Store } from '../store/store.ts';
import type { Authors } from './authors.ts';
import type { ClusterView } from './cluster/cluster-view.ts';
import type { ConfigLoader } from './declarative/config-loader.ts';
import type { AcmeDesk } from './overrides/acme.ts';

/** What the Admin API is made of; put together by the start command or by a test. */
export interface AdminOptions {
  readonly store: Store;
  /** What orders certificates (`/acme`). */
  readonly acme: AcmeDesk;
  readonly node: NodeInformation;
  readonly settings: Settings;
  /** Null: this control plane has no cluster listener. */
  readonly cluster: ClusterView | null;
  /** Takes declarative config into the store, also where `store` refuses writes. Null: `POST /config` is refused. */
  readonly config: ConfigLoader | null;
  /** Makes releases of groups and moves them on. Null: this control plane has no data planes. */
  readonly releases: ReleaseDesk | null;
  /** Tells what happens. Null: this control plane has no data planes. */
  readonly events: Pick<EventHub, 'open'> | null;
  /** Of the listeners this API is served on, for `GET /status`. */
  readonly connections: ConnectionCounts;
  /** The text of `GET /metrics`. */
  readonly metrics: () => Promise<string>;
  /** Names of the plugins that can be configured; null: all that are known. */
  readonly plugins: ReadonlySet<string> | null;
  /** What bundles are signed with. Null: this control plane signs none. */
  readonly signingKeys: SigningRing | null;
  /** Which requests of browsers are taken. */
  readonly browsers: BrowserGuard;
  /** Who is written down with a change. */
  readonly authors: Authors;
  /** Aborted when no more requests are taken: those that would wait are answered. Absent: that is not told. */
  readonly stopping?: AbortSignal;
  readonly log: AdminLog;
}

interface NodeInformation {
  /** UUID, kept across restarts. */
  readonly id: string;
  readonly hostname: string;
  /** Holdfast's own version. */
  readonly version: string;
}

export interface AdminLog {
  (level: 'info' | 'warn' | 'error', message: string): void;
  /** The level in force, where the log has one that can be changed at run time. */
  readonly level?: { get(): LogLevel; set(level: LogLevel, seconds: number): void };
}
