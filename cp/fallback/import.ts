import { setTimeout as sleep } from 'node:timers/promises';
import { utf8 } from '../../shared/bundle/canonical.ts';
import { type Bytes, LIMITS, type ObjectName } from '../../shared/bundle/format.ts';
import { followStatements } from '../../shared/bundle/key-statement.ts';
import { parseTableIndex } from '../../shared/bundle/object.ts';
import type { TrustedKeys } from '../../shared/bundle/trusted-keys.ts';
import { verifyManifest, verifyObject } from '../../shared/bundle/verification.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Log } from '../instance/log.ts';
import { groupOf, type NodeLabels } from '../publisher/groups.ts';
import { LARGEST_BUNDLE_FILE, objectFile, parseBundleFile, verifyGroups } from './bundle-file.ts';
import { BUNDLE_FILE, type FallbackFolder } from './folder.ts';
import type { FallbackStorage } from './storage.ts';

interface FallbackImportOptions {
  readonly storage: FallbackStorage;
  /** Where the data plane finds it: `bundle.json` with `{keys, group, manifest}`, and `objects/`. */
  readonly folder: FallbackFolder;
  readonly trusted: TrustedKeys;
  readonly labels: NodeLabels;
  readonly log: Log;
}

/** Objects that are read at a time. */
const WIDTH = 8;
/** Milliseconds between attempts, at first and at most. */
const [RETRY, LONGEST_RETRY] = [1_000, 10_000];

/**
 * Reads config for a data plane that is new, in the background, until it is there once: all of it is verified before it is
 * put where the data plane looks, which verifies it again. What the storage has counts by its signatures alone.
 */
export class FallbackImport {
  readonly #options: FallbackImportOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: FallbackImportOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    let complaint = '';
    for (let pause = RETRY; !this.#stop.signal.aborted; pause = Math.min(pause * 2, LONGEST_RETRY)) {
      try {
        const serial = await this.#import();
        log('notice', `fallback config of serial ${serial} is here, for as long as no control plane gives any`);
        return;
      } catch (error) {
        const said = `fallback config (cluster_fallback_config_storage) cannot be had: ${messageOf(error)}`;
        if (said !== complaint) log('warn', said);
        complaint = said;
      }
      await sleep(pause, null, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
    }
  }

  async #import(): Promise<number> {
    const { storage, trusted, labels, folder } = this.#options;
    const bytes = await storage.get(BUNDLE_FILE, LARGEST_BUNDLE_FILE);
    if (bytes === null) throw new Error(`there is no ${BUNDLE_FILE}`);
    const { keys, groups, manifests } = parseBundleFile(bytes);
    const { keys: trustedKeys } = await followStatements(trusted.keys, trusted.cluster, keys);
    const { cluster, groups: selectors } = await verifyGroups(groups, trustedKeys, trusted.cluster);
    const group = groupOf(selectors, labels);
    const manifest = manifests[group];
    if (manifest === undefined) throw new Error(`there is none for group '${group}'`);
    const now = Math.floor(Date.now() / 1000);
    const { tables, serial } = await verifyManifest(manifest, {
      trustedKeys,
      cluster,
      group,
      highestSerial: null,
      now,
    });
    for (const [table, { index }] of Object.entries(tables)) {
      const content = await this.#object(index, LIMITS.index);
      const { objects } = parseTableIndex(content, table);
      const named = objects.filter((ref) => ref !== null);
      const workers = Array.from({ length: WIDTH }, async () => {
        for (let ref = named.pop(); ref !== undefined; ref = named.pop()) await this.#object(ref.name, ref.size);
      });
      await Promise.all(workers);
    }
    folder.write(BUNDLE_FILE, utf8(JSON.stringify({ keys, group, manifest })));
    return serial;
  }

  /** Puts an object into the folder, and returns what is in it. */
  async #object(name: ObjectName, limit: number): Promise<Bytes> {
    if (this.#stop.signal.aborted) throw new Error('this node stops');
    const gzip = await this.#options.storage.get(objectFile(name), LIMITS.object);
    if (gzip === null) throw new Error(`there is no ${objectFile(name)}`);
    const content = await verifyObject(name, new Uint8Array(gzip), limit);
    this.#options.folder.write(objectFile(name), gzip);
    return content;
  }
}
