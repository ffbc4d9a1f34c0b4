import { setTimeout as sleep } from 'node:timers/promises';
import { utf8 } from '../../shared/bundle/canonical.ts';
import type { Manifest, ObjectName } from '../../shared/bundle/format.ts';
import { verifyManifest } from '../../shared/bundle/verification.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Log } from '../instance/log.ts';
import type { Publisher, Release } from '../publisher/publisher.ts';
import {
  type BundleFile,
  LARGEST_BUNDLE_FILE,
  objectFile,
  parseBundleFile,
  signGroups,
  verifyGroups,
} from './bundle-file.ts';
import { BUNDLE_FILE } from './folder.ts';
import type { FallbackStorage } from './storage.ts';

interface FallbackExportOptions {
  readonly storage: FallbackStorage;
  readonly publisher: Publisher;
  /** Milliseconds from a change to its export (`cluster_fallback_config_export_delay`): what comes meanwhile goes along. */
  readonly delay: number;
  readonly log: Log;
}

/** Nothing else of a storage is deleted, whoever wrote the file. */
const OBJECT_NAME = /^[0-9a-f]{64}$/;
/** Objects that are written at a time. */
const WIDTH = 8;
/** Milliseconds for which an object that nothing names any more stays: a data plane may be reading what was there before. */
const GRACE = 3_600_000;
/** Milliseconds between attempts while the storage is away, at first and at most. */
const [RETRY, LONGEST_RETRY] = [2_000, 300_000];
/** Milliseconds a stop waits for the storage. */
const LAST_ATTEMPT = 10_000;

/**
 * Writes what is published to a storage: objects first, then the one file that names them. Several control planes may share
 * a storage: each looks first what is there, writes nothing where that is as new, and never puts older config in its place.
 */
export class FallbackExport {
  readonly #options: FallbackExportOptions;
  readonly #garbage = new Map<ObjectName, number>();
  /** When what was deleted lately was: another control plane may have named it in the same moment. */
  readonly #deleted = new Map<ObjectName, number>();
  readonly #unsubscribe: () => void;
  readonly #stop = new AbortController();
  #pending = false;
  #running: Promise<void> = Promise.resolve();
  #failures = 0;
  #complaint = '';
  /** What is there is newer than the database. */
  #overtaken = false;

  constructor(options: FallbackExportOptions) {
    this.#options = options;
    this.#unsubscribe = options.publisher.onRound(() => this.#schedule(options.delay));
    // Soon, but several that start together not all at once.
    this.#schedule(Math.random() * Math.min(1_000, options.delay));
  }

  /** Writes what waits for its turn: afterwards there may be no control plane for long. Resolves when that is done, or takes too long. */
  async stop(): Promise<void> {
    await Promise.race([this.#writeLast(), sleep(LAST_ATTEMPT, null, { ref: false })]);
    this.#unsubscribe();
    this.#stop.abort();
  }

  async #writeLast(): Promise<void> {
    await this.#options.publisher.flush();
    const waits = this.#pending;
    this.#stop.abort();
    await this.#running;
    if (waits) await this.#attempt();
  }

  #schedule(after: number): void {
    if (this.#pending || this.#stop.signal.aborted) return;
    this.#pending = true;
    this.#running = this.#running.then(async () => {
      await sleep(after, null, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
      this.#pending = false;
      if (!this.#stop.signal.aborted) await this.#attempt();
    });
  }

  async #attempt(): Promise<void> {
    const { log } = this.#options;
    try {
      const serial = await this.#export();
      if (this.#complaint !== '' && serial !== null)
        log('notice', `fallback config is exported again, serial ${serial}`);
      this.#failures = 0;
      this.#complaint = '';
    } catch (error) {
      const complaint = `fallback config cannot be exported: ${messageOf(error)}`;
      if (complaint !== this.#complaint) log('error', complaint);
      this.#complaint = complaint;
      this.#schedule(Math.min(RETRY * 2 ** this.#failures++, LONGEST_RETRY));
    }
  }

  /** The serial that was written; null: what is there is as new. */
  async #export(): Promise<number | null> {
    const { storage, publisher } = this.#options;
    const { cluster, keys } = publisher.trust();
    const releases = publisher.groups().flatMap((group) => publisher.release(group) ?? []);
    const serial = publisher.serial();
    if (releases.length === 0) throw new Error('nothing is published yet');
    const file = await this.#file(releases, serial);
    const there = await this.#there(keys, cluster);
    if (there !== null && there.serial > serial) {
      await this.#newerIsThere(there.serial);
      return null;
    }
    this.#overtaken = false;
    const named = new Set<ObjectName>();
    for (const { manifest } of releases) for (const name of publisher.missing(manifest, null)) named.add(name);
    await this.#putBack(named);
    if (there !== null && isSame(there.file, file)) return null;
    for (const { manifest } of releases) {
      const missing = [...publisher.missing(manifest, there?.manifests.get(manifest.group) ?? null)];
      await this.#write(missing);
    }
    const swept = this.#unused(named, there);
    // With what is deleted next: should that not come to pass, whoever exports then does it.
    const unused = Object.fromEntries(this.#garbage);
    await storage.put(BUNDLE_FILE, utf8(JSON.stringify({ ...file, unused })));
    for (const name of swept) {
      this.#deleted.set(name, Date.now());
      await storage.delete(objectFile(name));
      this.#garbage.delete(name);
    }
    return serial;
  }

  /** Another control plane was faster, or the database is one of before: then nothing is exported, for long. */
  async #newerIsThere(serial: number): Promise<void> {
    const { publisher, log } = this.#options;
    await publisher.flush();
    const own = publisher.serial();
    const behind = own < serial;
    if (behind && !this.#overtaken)
      log(
        'warn',
        `fallback config: serial ${serial} is there, newer than serial ${own} of this database (was an older one restored?): ` +
          'it stays until a data plane that has it connects, or the database comes to it',
      );
    this.#overtaken = behind;
  }

  async #file(releases: readonly Release[], serial: number): Promise<BundleFile> {
    const { publisher } = this.#options;
    const key = publisher.signingKey();
    const groups = { cluster: key.cluster, serial, groups: publisher.selectors() };
    return {
      keys: publisher.statements(),
      groups: await signGroups(groups, key),
      manifests: Object.fromEntries(releases.map(({ manifest, jws }) => [manifest.group, jws])),
    };
  }

  /** What is there already, as far as it is this cluster's; null: nothing that counts. */
  async #there(trustedKeys: Parameters<typeof verifyGroups>[1], cluster: string) {
    const bytes = await this.#options.storage.get(BUNDLE_FILE, LARGEST_BUNDLE_FILE);
    if (bytes === null) return null;
    try {
      const file = parseBundleFile(bytes);
      const { serial } = await verifyGroups(file.groups, trustedKeys, cluster);
      const manifests = new Map<string, Manifest>();
      const expected = { trustedKeys, cluster, group: null, highestSerial: null, now: null };
      for (const [group, jws] of Object.entries(file.manifests))
        manifests.set(group, await verifyManifest(jws, expected));
      return { file, serial, manifests };
    } catch (error) {
      this.#options.log(
        'warn',
        `fallback config: what is there is replaced, since it is not of this cluster: ${messageOf(error)}`,
      );
      return null;
    }
  }

  async #write(names: ObjectName[]): Promise<void> {
    const { storage, publisher } = this.#options;
    const failures: unknown[] = [];
    const worker = async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        const found = publisher.object(name);
        // A newer release came, which goes out next.
        if (found === undefined) throw new Error('the config changed while it was written');
        await storage.put(objectFile(name), found.gzip);
        this.#garbage.delete(name);
      }
    };
    const workers = Array.from({ length: WIDTH }, () =>
      worker().catch((error: unknown) => {
        failures.push(error);
        // The others stop, too, and are waited for: the next attempt is not to run beside this one.
        names.length = 0;
      }),
    );
    await Promise.all(workers);
    if (failures.length > 0) throw failures[0];
  }

  /** What is named again and was deleted here is there only if it was put after that. */
  async #putBack(named: ReadonlySet<ObjectName>): Promise<void> {
    const now = Date.now();
    for (const [name, at] of this.#deleted) if (now - at > GRACE) this.#deleted.delete(name);
    const again = [...this.#deleted.keys()].filter((name) => named.has(name));
    await this.#write([...again]);
    for (const name of again) this.#deleted.delete(name);
  }

  /** What nothing names for long enough to be deleted; notes what nothing names any more, as far as the file there knows, too. */
  #unused(
    named: ReadonlySet<ObjectName>,
    there: { readonly file: BundleFile; readonly manifests: ReadonlyMap<string, Manifest> } | null,
  ): ReadonlySet<ObjectName> {
    const { publisher } = this.#options;
    const now = Date.now();
    for (const [name, since] of Object.entries(there?.file.unused ?? {}))
      if (OBJECT_NAME.test(name) && !this.#garbage.has(name)) this.#garbage.set(name, since);
    for (const manifest of there?.manifests.values() ?? []) {
      // Named until now, whatever was known of it before: another control plane may have named it again.
      for (const name of publisher.missing(manifest, null)) this.#garbage.set(name, now);
    }
    for (const name of named) this.#garbage.delete(name);
    return new Set([...this.#garbage].filter(([, since]) => now - since > GRACE).map(([name]) => name));
  }
}

/** Whether another control plane has written the same; what the two have signed may differ in the time. */
function isSame(there: BundleFile, ours: BundleFile): boolean {
  const content = ({ keys, groups, manifests }: BundleFile) =>
    JSON.stringify([
      keys,
      payloadOf(groups),
      Object.entries(manifests)
        .map(([group, jws]) => [group, contentOf(jws)])
        .sort(),
    ]);
  return content(there) === content(ours);
}

function contentOf(jws: string): unknown {
  const { serial, config_hash: hash } = JSON.parse(payloadOf(jws));
  return [serial, hash];
}

function payloadOf(jws: string): string {
  return Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8');
}
