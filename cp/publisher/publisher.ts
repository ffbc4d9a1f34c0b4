import type { Manifest, ObjectName, PackedObject, PublicKeyJwk } from '../../shared/bundle/format.ts';
import { buildManifest } from '../../shared/bundle/manifest.ts';
import { type SigningKey, signManifest } from '../../shared/bundle/signing.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { ChangeFeed, Delta } from '../store/store.ts';
import { coalesce, type Pace } from './coalesce.ts';
import { PackedConfig, type PluginVersion } from './config.ts';
import type { Conflict } from './demands.ts';
import { PublishRefused } from './refusal.ts';
import { type Retention, Shelf } from './shelf.ts';
import { loggedDeletes, suspiciousLoss, vanishedRows } from './shrink-guard.ts';
import type { PublishedTable } from './travel.ts';

/** A signed manifest, published. */
export interface Release {
  readonly jws: string;
  readonly manifest: Manifest;
}

/** What bundles are signed with. */
export interface PublisherKeys {
  readonly signing: SigningKey;
  /** Public keys data planes shall trust besides the signing key's: the next one's, while a rotation is under way. */
  readonly introduced: readonly PublicKeyJwk[];
}

/** What a publisher works with. */
export interface PublisherOptions {
  readonly feed: ChangeFeed;
  readonly tables: readonly PublishedTable[];
  readonly pluginVersion: PluginVersion;
  readonly signingKey: SigningKey;
  /** Public keys data planes shall trust besides the signing key's. */
  readonly introduce?: readonly PublicKeyJwk[];
  readonly group: string;
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void;
  /** Publish even a config that lost most of its rows without deletes on record. */
  readonly acceptLoss?: boolean;
  readonly pace?: Pace;
  readonly retention?: Retention;
  /** Milliseconds between attempts while the database or the config does not allow publishing. */
  readonly retry?: number;
}

/** Makes releases of what is in the store, and holds the objects of those data planes may still be reading. */
export interface Publisher {
  /** The newest release. */
  current(): Release;
  /** An object of the newest release, or of one that was replaced not long ago. */
  object(name: ObjectName): PackedObject | undefined;
  /** The objects of the newest release that the holder of `held` lacks; all of them for null or a forgotten manifest. */
  missing(held: Manifest | null): Iterable<ObjectName>;
  /** Why what is committed cannot be published, so that every data plane keeps what it has; null when all is well. */
  trouble(): string | null;
  /** What a data plane with these capabilities cannot honour of the newest config. */
  conflicts(capabilities: readonly string[]): readonly Conflict[];
  /** Calls back after every release, also one with the same content under a new serial. */
  subscribe(callback: (release: Release) => void): () => void;
  /** Publishes what is committed now and resolves; failures are logged, not thrown. */
  flush(): Promise<void>;
  /**
   * Called with a verified manifest of this cluster that some data plane holds. When its serial is above the
   * database's, an older database was restored: moves the sequence past it and publishes, so that the data plane
   * accepts this control plane's config again. Returns why not when that looks like an accident.
   */
  catchUp(held: Manifest): Promise<string | null>;
  /** What releases are signed with now. */
  signingKey(): SigningKey;
  /** Signs the newest release anew, with other keys, and publishes it. Throws when they are of another cluster. */
  renew(keys: PublisherKeys): Promise<void>;
  stop(): Promise<void>;
}

/** Kong users expect a change within a second; a burst of writes (decK) becomes few releases. */
const PACE: Pace = { quiet: 50, patience: 500 };
const RETENTION: Retention = { age: 10 * 60_000, bytes: 64 << 20 };
const RETRY = 2_000;

/**
 * Publishes the database as signed bundles: everything once, then only what the change log names. Throws when the
 * first release cannot be made; later trouble leaves the last release in place, is logged, and tried again.
 */
export async function createPublisher(options: PublisherOptions): Promise<Publisher> {
  const { feed, tables, log } = options;
  const shelf = new Shelf(options.retention ?? RETENTION);
  const subscribers = new Set<(release: Release) => void>();
  let keys: PublisherKeys = { signing: options.signingKey, introduced: options.introduce ?? [] };
  let config: PackedConfig | null = await PackedConfig.load(feed, tables, shelf, Date.now());
  /** The config of the last release. */
  let latest = config;
  let lastingRows = config.lastingRows;
  let { commit } = config;
  let release = await sign(config);
  /** The keys have changed since the release was signed. */
  let resign = false;
  let complaint = '';
  let retry: NodeJS.Timeout | null = null;

  async function sign(packed: PackedConfig): Promise<Release> {
    const manifest = await buildManifest({
      cluster: keys.signing.cluster,
      group: options.group,
      serial: packed.serial,
      issued_at: Math.floor(Date.now() / 1000),
      tables: await packed.refs(Date.now()),
      plugins: packed.plugins(options.pluginVersion),
      keys: [keys.signing.publicKey, ...keys.introduced],
    });
    return { jws: await signManifest(manifest, keys.signing), manifest };
  }

  /** One round: reads what changed, packs it, signs it. */
  async function publish(): Promise<void> {
    const since = release.manifest.serial;
    const delta = await feed.delta(since, commit);
    if (delta === null || delta.serial < since || config === null) await reload(delta);
    else if (delta.serial > since) await advance(config, delta);
    else if (resign) release = await sign(config);
    else return;
    resign = false;
    shelf.expire(Date.now());
    for (const callback of subscribers) callback(release);
  }

  async function advance(packed: PackedConfig, delta: Delta): Promise<void> {
    const vanished = vanishedRows(delta, tables);
    refuseLoss({ before: lastingRows, after: lastingRows - vanished, deleted: 0 });
    // Until it is signed again it is half changed: a failure in between must lead to a reload.
    config = null;
    await packed.advance(delta, Date.now());
    release = await sign(packed);
    config = packed;
    ({ lastingRows, commit } = packed);
  }

  async function reload(delta: Delta | null): Promise<void> {
    const published = release.manifest.serial;
    const packed = await PackedConfig.load(feed, tables, shelf, Date.now());
    const deleted = delta === null ? 0 : loggedDeletes(delta, tables);
    refuseLoss({ before: lastingRows, after: packed.lastingRows, deleted });
    // Also at the very serial: it is another commit then, as only an older database that was written to can have it.
    if (packed.serial <= published) {
      const found = packed.serial;
      await continueAfter(packed, published);
      log(
        'warn',
        `the database went back to serial ${found} (was an older one restored?); continuing at ${packed.serial}`,
      );
    } else if (delta === null) {
      // After a change too large for the log, for one.
      log('info', `the change log does not go on from serial ${published}; everything was read anew`);
    }
    await replace(packed);
  }

  /** The database is behind what is published: moves its serial past that. */
  async function continueAfter(packed: PackedConfig, published: number): Promise<void> {
    await feed.advanceTo(published);
    const rest = await feed.delta(packed.serial);
    if (rest === null) throw new Error('the change log was shortened while it was being read');
    await packed.advance(rest, Date.now());
  }

  async function replace(packed: PackedConfig): Promise<void> {
    release = await sign(packed);
    config = packed;
    latest = packed;
    ({ lastingRows, commit } = packed);
    const kept = new Set(packed.names());
    for (const name of shelf.names()) if (!kept.has(name)) shelf.retire(name, Date.now());
  }

  function refuseLoss(rows: { before: number; after: number; deleted: number }): void {
    if (options.acceptLoss) return;
    const suspicion = suspiciousLoss(rows);
    if (suspicion !== null) throw new PublishRefused(suspicion);
  }

  /** `publish` with its failures logged, once each, and tried again. */
  async function round(): Promise<void> {
    if (retry !== null) clearTimeout(retry);
    retry = null;
    try {
      await publish();
      if (complaint !== '') log('info', `publishing again, at serial ${release.manifest.serial}`);
      complaint = '';
    } catch (error) {
      const message = messageOf(error);
      const refused = error instanceof PublishRefused ? 'refusing to publish' : 'cannot publish';
      const trouble = `${refused}, data planes keep serial ${release.manifest.serial}: ${message}`;
      if (trouble !== complaint) log('error', trouble);
      complaint = trouble;
      retry = setTimeout(() => rounds.signal(), options.retry ?? RETRY);
    }
  }

  const rounds = coalesce(round, options.pace ?? PACE);
  const unsubscribe = feed.subscribe(rounds.signal);
  // A change committed between the first load and the subscription.
  rounds.signal();

  return {
    current: () => release,
    object: (name) => shelf.get(name),
    trouble: () => (complaint === '' ? null : complaint),
    conflicts: (capabilities) => latest.conflicts(capabilities),
    missing: (held) => missingObjects(shelf, release.manifest, held),
    subscribe(callback) {
      subscribers.add(callback);
      return () => subscribers.delete(callback);
    },
    flush: rounds.flush,
    async catchUp(held) {
      if (held.serial <= release.manifest.serial) return null;
      await rounds.flush();
      if (held.serial <= release.manifest.serial) return null;
      const rows = { before: totalRows(held), after: totalRows(release.manifest), deleted: 0 };
      const suspicion = options.acceptLoss ? null : suspiciousLoss(rows);
      if (suspicion !== null) return suspicion;
      await feed.advanceTo(held.serial);
      await rounds.flush();
      log(
        'warn',
        `a data plane holds serial ${held.serial}, which this database never reached (was an older one restored?); ` +
          `continuing at serial ${release.manifest.serial}`,
      );
      return null;
    },
    signingKey: () => keys.signing,
    async renew(next) {
      if (next.signing.cluster !== keys.signing.cluster) {
        throw new Error('bundle_signing_key: the key is of another cluster, which needs a restart');
      }
      if (sameKeys(keys, next)) return;
      keys = next;
      resign = true;
      await rounds.flush();
    },
    async stop() {
      unsubscribe();
      await rounds.stop();
      if (retry !== null) clearTimeout(retry);
      subscribers.clear();
    },
  };
}

function* missingObjects(shelf: Shelf, current: Manifest, held: Manifest | null): Iterable<ObjectName> {
  for (const [name, table] of Object.entries(current.tables)) {
    const previous = held?.tables[name]?.index;
    if (previous === table.index) continue;
    yield table.index;
    const owned = new Set<string>();
    for (const ref of (previous === undefined ? undefined : shelf.references(previous)) ?? []) {
      if (ref !== null) owned.add(ref.name);
    }
    for (const ref of shelf.references(table.index) ?? []) {
      if (ref === null || owned.has(ref.name)) continue;
      owned.add(ref.name);
      yield ref.name;
    }
  }
}

function sameKeys(a: PublisherKeys, b: PublisherKeys): boolean {
  const ids = ({ signing, introduced }: PublisherKeys) => [signing.publicKey, ...introduced].map(({ kid }) => kid);
  return ids(a).join() === ids(b).join();
}

function totalRows(manifest: Manifest): number {
  return Object.values(manifest.tables).reduce((sum, table) => sum + table.rows, 0);
}
