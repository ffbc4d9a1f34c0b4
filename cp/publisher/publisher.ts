import {
  DEFAULT_GROUP,
  type Manifest,
  type ObjectName,
  type PackedObject,
  type PublicKeyJwk,
} from '../../shared/bundle/format.ts';
import { buildManifest } from '../../shared/bundle/manifest.ts';
import { type SigningKey, signManifest } from '../../shared/bundle/signing.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { RingNode } from '../releases/rings.ts';
import { StagedGroups } from '../releases/staged-groups.ts';
import type { ChangeFeed, Delta, ReleaseStore } from '../store/store.ts';
import { coalesce, type Pace } from './coalesce.ts';
import { PackedConfig } from './config.ts';
import type { Conflict } from './demands.ts';
import { PublishFigures } from './figures.ts';
import { GroupConfigs } from './group-configs.ts';
import { type Group, groupOf, type NodeLabels } from './groups.ts';
import { missingObjects } from './missing-objects.ts';
import type { PluginVersion } from './packed-tables.ts';
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
  /** What leads data planes to the signing key, in order (`shared/bundle/key-statement.ts`); absent: they have it. */
  readonly statements?: readonly string[];
  /** All that count as this cluster's; absent: those above. */
  readonly trusted?: readonly PublicKeyJwk[];
  /** Why nothing can be signed that data planes would believe. */
  readonly fault?: string | null;
}

/** What a publisher works with. */
export interface PublisherOptions {
  readonly feed: ChangeFeed;
  readonly tables: readonly PublishedTable[];
  readonly pluginVersion: PluginVersion;
  readonly signingKey: SigningKey;
  /** Public keys data planes shall trust besides the signing key's. */
  readonly introduce?: readonly PublicKeyJwk[];
  readonly statements?: readonly string[];
  readonly trusted?: readonly PublicKeyJwk[];
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void;
  /** Publish even a config that lost most of its rows without deletes on record. */
  readonly acceptLoss?: boolean;
  readonly pace?: Pace;
  readonly retention?: Retention;
  /** Where releases of groups with `publish = release` are; absent: every group publishes at once. */
  readonly releases?: ReleaseStore;
  /** Milliseconds between attempts while the database or the config does not allow publishing. */
  readonly retry?: number;
}

/** Makes releases of what is in the store, one for each group, and holds the objects of those data planes may still be reading. */
export interface Publisher {
  /** The newest release of the group `default`. Throws while it has none. */
  current(): Release;
  /** What a data plane of a group gets: the newest release, or, on its way by rings, another than those of others. */
  releaseFor(group: string, node: RingNode): Release | null;
  /** Releases of groups with `publish = release`. */
  readonly staged: StagedGroups | null;
  /** The newest release of a group; null while what it selects has never held together, and for a group that is not there. */
  release(group: string): Release | null;
  /** Names of the groups, in the order data planes are matched with them; `default` last. */
  groups(): readonly string[];
  /** By what data planes are matched with them. */
  selectors(): readonly Pick<Group, 'name' | 'labels' | 'certified'>[];
  /** The group of a data plane with these labels. */
  groupOf(labels: NodeLabels): string;
  /** Whether some group gets a part of the config only, which a write may tear. */
  selects(): boolean;
  /** Up to where the change log is published, but for groups that are in trouble. */
  serial(): number;
  /**
   * From which serial on a config certainly has what the database has at this one: a later one where another database took the place of
   * that which the config before is of, `Infinity` until that is published.
   */
  certain(serial: number): number;
  readonly figures: PublishFigures;
  /** The cluster, and the keys that its manifests are signed with or may be from now on. */
  trust(): Pick<Manifest, 'cluster' | 'keys'>;
  /** An object of the newest releases, or of one that was replaced not long ago. */
  object(name: ObjectName): PackedObject | undefined;
  /** The objects of a manifest that the holder of `held` lacks; all of them for null or a forgotten manifest. */
  missing(manifest: Manifest, held: Manifest | null): Iterable<ObjectName>;
  /**
   * Why what is committed cannot be published, so that every data plane keeps what it has; of a group, or of none in
   * particular. Null when all is well.
   */
  trouble(group?: string): string | null;
  /** What a data plane with these capabilities cannot honour of a group's newest config. */
  conflicts(group: string, capabilities: readonly string[]): readonly Conflict[];
  /** Calls back after every release of a group, also one with the same content under a new serial. */
  subscribe(callback: (release: Release) => void): () => void;
  /** Calls back after all releases of a round, and when data planes may be of other groups than before. */
  onRound(callback: () => void): () => void;
  /** Publishes what is committed now and resolves; failures are logged, not thrown. */
  flush(): Promise<void>;
  /**
   * Called with a verified manifest of this cluster that some data plane holds. When its serial is above the
   * database's, an older database was restored: moves the sequence past it and publishes, so that the data plane
   * accepts this control plane's config again. Returns why not when that looks like an accident.
   */
  catchUp(held: Manifest): Promise<string | null>;
  /**
   * Signs what a group has once more, under the serial that the others are at: data planes that come from them take
   * nothing older. For a group that is behind, in trouble or because its next release was not made yet.
   */
  lift(release: Release): Promise<Release>;
  /** What releases are signed with now. */
  signingKey(): SigningKey;
  /** What leads data planes to that key, in order. */
  statements(): readonly string[];
  /** Signs the newest releases anew, with other keys, and publishes them. Throws when they are of another cluster. */
  renew(keys: PublisherKeys): Promise<void>;
  stop(): Promise<void>;
}

/** Kong users expect a change within a second; a burst of writes (decK) becomes few releases. */
const PACE: Pace = { quiet: 50, patience: 500 };
const RETENTION: Retention = { age: 10 * 60_000, bytes: 64 << 20 };
const RETRY = 2_000;

/**
 * Publishes the database as signed bundles: everything once, then only what the change log names. Throws when the
 * config cannot be read at first; later trouble leaves the last release in place, is logged, and tried again.
 */
export async function createPublisher(options: PublisherOptions): Promise<Publisher> {
  const { feed, tables, log } = options;
  const shelf = new Shelf(options.retention ?? RETENTION);
  const subscribers = new Set<(release: Release) => void>();
  const roundSubscribers = new Set<() => void>();
  let keys: PublisherKeys = { ...options, signing: options.signingKey, introduced: options.introduce ?? [] };
  let config: PackedConfig | null = await PackedConfig.load(feed, tables, shelf, Date.now());
  /** The config that was published last, by group. */
  let latest = await GroupConfigs.of(config, shelf, Date.now());
  let lastingRows = config.lastingRows;
  /** Up to where it is published, and the commit there. */
  let { serial: reached, commit } = config;
  /** Configs up to one serial may be of another database than what is there now, which is published from the other one on. */
  let replaced = { upTo: -1, from: 0 };
  const releases = new Map<string, Release>();
  const staged =
    options.releases === undefined
      ? null
      : new StagedGroups({
          store: options.releases,
          shelf,
          sign: (serial, content) => sign(content.group, serial, content),
          log,
        });
  /** Groups whose config cannot be published, with the reason. */
  const troubles = new Map<string, string>();
  /** The keys have changed since the releases were signed. */
  let resign = false;
  const figures = new PublishFigures();
  let complaint = '';
  let retry: NodeJS.Timeout | null = null;

  async function sign(group: string, serial: number, content: Content): Promise<Release> {
    const manifest = await complete(group, serial, content);
    return { jws: await signManifest(manifest, keys.signing), manifest };
  }

  function complete(group: string, serial: number, { tables: refs, plugins, split }: Content): Promise<Manifest> {
    return buildManifest({
      cluster: keys.signing.cluster,
      group,
      serial,
      issued_at: Math.floor(Date.now() / 1000),
      tables: refs,
      ...(split !== undefined && { split }),
      plugins,
      keys: trustedKeys(keys),
    });
  }

  /** Makes a release for every group whose config holds together; the others keep theirs. */
  async function release(configs: GroupConfigs, serial: number): Promise<readonly Release[]> {
    const made: Release[] = [];
    for (const { name, staged: isStaged } of configs.groups) {
      try {
        const part = configs.tables(name);
        const content = { tables: await part.refs(Date.now()), plugins: part.plugins(options.pluginVersion) };
        if (staged !== null && isStaged) staged.note(name, await complete(name, serial, content));
        else made.push(await sign(name, serial, content));
        if (troubles.delete(name)) log('info', `publishing again${toGroup(name)}, at serial ${serial}`);
      } catch (error) {
        if (!(error instanceof PublishRefused)) throw error;
        staged?.note(name, null);
        keep(name, error);
      }
    }
    if (staged !== null) {
      const names = configs.groups.flatMap((group) => (group.staged ? [group.name] : []));
      made.push(...(await staged.follow(names, serial, (group) => releases.get(group)?.manifest)));
    }
    const present = new Set(configs.groups.map(({ name }) => name));
    for (const name of [...releases.keys(), ...troubles.keys()]) {
      if (present.has(name)) continue;
      releases.delete(name);
      troubles.delete(name);
    }
    return made;
  }

  function keep(group: string, error: PublishRefused): void {
    const kept = releases.get(group);
    const consequence =
      kept === undefined ? 'data planes get no config' : `data planes keep serial ${kept.manifest.serial}`;
    const trouble = `refusing to publish${toGroup(group)}, ${consequence}: ${error.message}`;
    if (troubles.get(group) !== trouble) log('error', trouble);
    troubles.set(group, trouble);
    if (kept === undefined) return;
    for (const name of missingObjects(shelf, kept.manifest, null)) shelf.claim(name, kept);
  }

  /** One round: reads what changed, packs it, signs it. False: there was nothing to do. */
  async function publish(): Promise<boolean> {
    if (keys.fault !== undefined && keys.fault !== null) throw new PublishRefused(keys.fault);
    const delta = await feed.delta(reached, commit);
    // Keys may change again while this round signs, which is then the next one's.
    const signsAnew = resign;
    resign = false;
    let made: readonly Release[];
    try {
      if (delta === null || delta.serial < reached || config === null) made = await reload(delta);
      else if (delta.serial > reached) made = await advance(config, delta);
      else if (signsAnew) made = await release(latest, reached);
      else return false;
      if (signsAnew) made = [...made, ...(await signKept(new Set(made)))];
    } catch (error) {
      resign ||= signsAnew;
      throw error;
    }
    for (const each of made) releases.set(each.manifest.group, each);
    for (const each of staged?.releases() ?? []) {
      const { group } = each.manifest;
      if (staged?.release(group, null) === each) releases.set(group, each);
    }
    shelf.keepOnly(new Set([...latest.users(), ...releases.values(), ...(staged?.users() ?? [])]), Date.now());
    shelf.expire(Date.now());
    for (const each of made) tell(subscribers, each);
    tell(roundSubscribers, undefined);
    return true;
  }

  /** What is published stays so, and the others hear of it, whatever becomes of it with one of them. */
  function tell<T>(callbacks: ReadonlySet<(of: T) => void>, of: T): void {
    for (const callback of callbacks) {
      try {
        callback(of);
      } catch (error) {
        log(
          'error',
          `serial ${reached} is published, but a part of this control plane fails on it: ${messageOf(error)}`,
        );
      }
    }
  }

  /** Releases of groups that keep one, signed anew. `made`: of this round. */
  async function signKept(made: ReadonlySet<Release>): Promise<readonly Release[]> {
    const kept = [...troubles.keys()].flatMap((group) => releases.get(group) ?? []);
    for (const each of staged?.releases() ?? [])
      if (!made.has(each)) staged?.replace(each, await again(each.manifest, each.manifest.serial));
    return Promise.all(kept.map(({ manifest }) => again(manifest, manifest.serial)));
  }

  /** What a manifest says, signed anew. Its objects stay. */
  async function again(manifest: Manifest, serial: number): Promise<Release> {
    const signed = await sign(manifest.group, serial, manifest);
    for (const name of missingObjects(shelf, manifest, null)) shelf.claim(name, signed);
    return signed;
  }

  async function advance(packed: PackedConfig, delta: Delta): Promise<readonly Release[]> {
    const vanished = vanishedRows(delta, tables);
    refuseLoss({ before: lastingRows, after: lastingRows - vanished, deleted: 0 });
    // Until it is signed again it is half changed: a failure in between must lead to a reload.
    config = null;
    await latest.follow(await packed.advance(delta, Date.now()), Date.now());
    const made = await release(latest, packed.serial);
    config = packed;
    ({ lastingRows, commit, serial: reached } = packed);
    return made;
  }

  async function reload(delta: Delta | null): Promise<readonly Release[]> {
    const published = reached;
    if (delta === null) replaced = { upTo: published, from: Number.POSITIVE_INFINITY };
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
    const configs = await GroupConfigs.of(packed, shelf, Date.now());
    const made = await release(configs, packed.serial);
    config = packed;
    latest = configs;
    ({ lastingRows, commit, serial: reached } = packed);
    replaced = { ...replaced, from: Math.min(replaced.from, reached) };
    return made;
  }

  /** The database is behind what is published: moves its serial past that. */
  async function continueAfter(packed: PackedConfig, published: number): Promise<void> {
    await feed.advanceTo(published);
    const rest = await feed.delta(packed.serial);
    if (rest === null) throw new Error('the change log was shortened while it was being read');
    await packed.advance(rest, Date.now());
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
    const began = performance.now();
    try {
      if (await publish()) figures.published(began);
      if (complaint !== '') log('info', `publishing again, at serial ${reached}`);
      complaint = '';
    } catch (error) {
      figures.failures++;
      const message = messageOf(error);
      const refused = error instanceof PublishRefused ? 'refusing to publish' : 'cannot publish';
      const trouble = `${refused}, data planes keep serial ${reached}: ${message}`;
      if (trouble !== complaint) log('error', trouble);
      complaint = trouble;
      retry = setTimeout(() => rounds.signal(), options.retry ?? RETRY);
    }
  }

  for (const each of await release(latest, reached)) releases.set(each.manifest.group, each);
  const rounds = coalesce(round, options.pace ?? PACE);
  const unsubscribe = feed.subscribe(rounds.signal);
  // A change committed between the first load and the subscription.
  rounds.signal();

  return {
    current() {
      const current = releases.get(DEFAULT_GROUP);
      if (current === undefined) throw new PublishRefused(troubles.get(DEFAULT_GROUP) ?? 'nothing is published yet');
      return current;
    },
    release: (group) => releases.get(group) ?? null,
    releaseFor: (group, node) => staged?.release(group, node) ?? releases.get(group) ?? null,
    staged,
    groups: () => latest.groups.map(({ name }) => name),
    selectors: () => latest.groups.map(({ name, labels, certified }) => ({ name, labels, certified })),
    groupOf: (labels) => groupOf(latest.groups, labels),
    selects: () => latest.groups.some(({ selection }) => selection !== null),
    serial: () => reached,
    certain: (serial) => (serial > replaced.upTo ? serial : Math.max(serial, replaced.from)),
    figures,
    trust: () => ({ cluster: keys.signing.cluster, keys: [...trustedKeys(keys), ...(keys.trusted ?? [])] }),
    object: (name) => shelf.get(name),
    trouble(group) {
      if (complaint !== '') return complaint;
      return group === undefined ? null : (troubles.get(group) ?? null);
    },
    // Of what a group keeps, in trouble or until its next release, only the manifest is known.
    conflicts(group, capabilities) {
      return troubles.has(group) || staged?.isPending(group) === true ? [] : latest.conflicts(group, capabilities);
    },
    missing: (manifest, held) => missingObjects(shelf, manifest, held),
    subscribe(callback) {
      subscribers.add(callback);
      return () => subscribers.delete(callback);
    },
    onRound(callback) {
      roundSubscribers.add(callback);
      return () => roundSubscribers.delete(callback);
    },
    flush: rounds.flush,
    async catchUp(held) {
      if (held.serial <= reached) return null;
      await rounds.flush();
      if (held.serial <= reached) return null;
      const current = releases.get(held.group) ?? releases.get(DEFAULT_GROUP);
      const rows = {
        before: totalRows(held),
        after: current === undefined ? 0 : totalRows(current.manifest),
        deleted: 0,
      };
      const suspicion = options.acceptLoss ? null : suspiciousLoss(rows);
      if (suspicion !== null) return suspicion;
      await feed.advanceTo(held.serial);
      await rounds.flush();
      log(
        'warn',
        `a data plane holds serial ${held.serial}, which this database never reached (was an older one restored?); ` +
          `continuing at serial ${reached}`,
      );
      return null;
    },
    async lift(kept) {
      if (kept.manifest.serial >= reached) return kept;
      const lifted = await again(kept.manifest, reached);
      staged?.replace(kept, lifted);
      const { group } = kept.manifest;
      if (releases.get(group) === kept) {
        releases.set(group, lifted);
        tell(subscribers, lifted);
      }
      return lifted;
    },
    signingKey: () => keys.signing,
    statements: () => keys.statements ?? [],
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
      roundSubscribers.clear();
    },
  };
}

/** What a manifest says of a config. */
type Content = Pick<Manifest, 'tables' | 'plugins' | 'split'>;

function trustedKeys({ signing, introduced }: PublisherKeys): readonly PublicKeyJwk[] {
  return [signing.publicKey, ...introduced];
}

/** In a sentence, where it is not the group that everybody has. */
function toGroup(group: string): string {
  return group === DEFAULT_GROUP ? '' : ` to group '${group}'`;
}

function sameKeys(a: PublisherKeys, b: PublisherKeys): boolean {
  const ids = ({ signing, introduced, statements = [], fault = null }: PublisherKeys) =>
    [...[signing.publicKey, ...introduced].map(({ kid }) => kid), statements.length, fault].join();
  return ids(a) === ids(b);
}

function totalRows(manifest: Manifest): number {
  return Object.values(manifest.tables).reduce((sum, table) => sum + table.rows, 0);
}
