import type { Manifest } from '../../shared/bundle/format.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Env } from '../env.ts';
import { jsonResponse } from '../http/messages.ts';
import type { RequestPath } from '../proxy/request-path.ts';
import { NO_REFERRING_ROWS, type ReferringRows } from '../vaults/referring-rows.ts';
import { VaultResolution } from '../vaults/resolution.ts';
import { atMost } from './at-most.ts';
import { bundleCache } from './cache.ts';
import { declarativeOrigin } from './declarative.ts';
import { lazyTables, ShardMemory } from './lazy.ts';
import type { LiveConfig } from './live.ts';
import { NodeClient } from './node.ts';
import { type FoundObject, findObject, type ObjectOrigin } from './objects.ts';
import { changesBetween, NO_TABLES, type ReadObject, readTables, type Tables } from './tables.ts';
import { isSignedBy, type VerifiedManifest } from './trust.ts';
import { updateInSlices } from './update-in-slices.ts';

/** What the request path is made by; `worker.ts` names it, so that this half is built without knowing that one. */
export interface Gateway {
  /** The request path of an empty config. */
  readonly createRequestPath: (env: Env, vaults: VaultResolution) => RequestPath;
  /** Plugins this Worker can run, with versions. */
  readonly plugins: Readonly<Record<string, string>>;
}

/** A config an isolate holds: what requests see, and what the next one is built from. */
export interface Held {
  readonly live: LiveConfig;
  /** Null for the empty and the declarative config, which no control plane signed. */
  readonly verified: VerifiedManifest | null;
  readonly tables: Tables;
  readonly referring: ReferringRows;
}

/** A config to be built: verified, not yet loaded. */
interface Candidate {
  readonly manifest: Manifest;
  readonly verified: VerifiedManifest | null;
  readonly source: LiveConfig['source'];
  /** Asked for objects in this order. */
  readonly origins: readonly ObjectOrigin[];
  /** Gets every object that was read, with the origin that had it. */
  readonly found?: (name: string, object: FoundObject) => void;
}

/** Milliseconds that the names of new targets get to be looked up before their config is served. */
const NAMES_PATIENCE = 1_000;

/** Milliseconds after which secrets are read again when nothing came of it. */
const REFRESH_PATIENCE = 10_000;

/** Bytes of shard JSON an isolate keeps in memory; parsed it is about three times that, of 128 MB. */
const SHARD_MEMORY = 12 << 20;

/**
 * The config of this isolate: one pointer, shared on workerd by the fetch handler and the Durable Objects, since they
 * run in one isolate. Replaced whole, never changed.
 */
export class CurrentConfig {
  readonly gateway: Gateway;
  readonly #shards = new ShardMemory(SHARD_MEMORY);
  #held: Held | null = null;
  #vaults: VaultResolution | null = null;
  /** All configs begin with it, so that those built side by side share what it keeps: queues, counters, caches. */
  #emptyPath: RequestPath | null = null;

  constructor(gateway: Gateway) {
    this.gateway = gateway;
  }

  /** Null until the start sequence has run. */
  get held(): Held | null {
    return this.#held;
  }

  /** Everything answers 404. */
  empty(env: Env): Held {
    this.#emptyPath ??= this.gateway.createRequestPath(env, this.vaults(env));
    const live: LiveConfig = {
      serial: null,
      configHash: null,
      source: 'empty',
      path: this.#emptyPath,
      lazy: lazyTables(NO_TABLES, this.#shards, reader(env, [])),
    };
    return { live, verified: null, tables: NO_TABLES, referring: NO_REFERRING_ROWS };
  }

  vaults(env: Env): VaultResolution {
    this.#vaults ??= new VaultResolution(env);
    return this.#vaults;
  }

  /** When secrets are to be read again: milliseconds since the epoch. */
  get secretsDue(): number {
    return this.#vaults?.due ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Requests are refused with 503: this node has, or may have, a config that it cannot load now. A 404 would say that
   * there is no such route.
   */
  lost(env: Env): Held {
    const empty = this.empty(env);
    return { ...empty, live: { ...empty.live, path: withoutConfig(empty.live.path) } };
  }

  /**
   * Loads and compiles what the candidate changes relative to what is held. Requests do not see it before `replace`.
   * Throws `ObjectUnavailable`, `BundleRefused`, or the request path's `ConfigError`.
   */
  async build(env: Env, { manifest, verified, source, origins, found }: Candidate): Promise<Held> {
    const from = this.#held === null || this.#held.live.source === 'empty' ? this.empty(env) : this.#held;
    const tables = await readTables(manifest, from.tables, reader(env, origins, found));
    const { changes, referring } = await this.vaults(env).resolve(from.referring, changesBetween(from.tables, tables));
    const path = changes.size === 0 ? from.live.path : await updateInSlices(from.live.path, changes);
    // So that no request has to wait for a name; a DNS that is slow must not keep config from being applied.
    await atMost(NAMES_PATIENCE, path.balancers.resolve());
    const live: LiveConfig = {
      serial: manifest.serial,
      configHash: manifest.config_hash,
      source,
      path,
      lazy: lazyTables(tables, this.#shards, reader(env, restingOrigins(env, source))),
    };
    return { live, verified, tables, referring };
  }

  /** Reads the secrets that are due, and compiles anew what has others then. */
  async refreshSecrets(env: Env): Promise<void> {
    const vaults = this.vaults(env);
    const held = this.#held;
    if (held === null) return;
    // No other request does the same meanwhile; one that is broken off is made good for.
    vaults.due = Date.now() + REFRESH_PATIENCE;
    const { changes, referring } = await vaults.resolve(held.referring, new Map());
    // Newer config has come meanwhile; what it lacks of this is due.
    if (this.#held !== held) return vaults.settle(this.#held?.referring ?? NO_REFERRING_ROWS);
    if (changes.size > 0) {
      this.#held = { ...held, live: { ...held.live, path: held.live.path.update(changes) }, referring };
      this.#held.live.path.settle();
    }
    vaults.settle(referring);
  }

  /** Makes `next` what requests see, unless something newer has come meanwhile. */
  replace(next: Held): void {
    const held = this.#held?.verified ?? null;
    if (held !== null && !supersedes(next.verified, held)) return;
    this.#held = next;
    next.live.path.settle();
    this.#vaults?.settle(next.referring);
  }
}

/** Newer; or in the place of what a key has signed that was revoked since, wherever that one let serials go. */
function supersedes(next: VerifiedManifest | null, held: VerifiedManifest): boolean {
  if (next === null) return false;
  return next.content.serial >= held.content.serial || isSignedBy(held.manifest, next.revoked);
}

function withoutConfig(empty: RequestPath): RequestPath {
  return {
    balancers: empty.balancers,
    showsUpstreamHealth: false,
    update: (changes) => empty.update(changes),
    explain: (request, caller) => empty.explain(request, caller),
    serverCertificate: () => null,
    beginTls: () => null,
    openSession: () => null,
    settle: () => empty.settle(),
    finish: () => empty.finish(),
    handle: async () => jsonResponse(503, { message: 'no configuration available' }, { 'retry-after': '5' }),
  };
}

/** Where a config's objects are found while it serves. */
export function restingOrigins(env: Env, source: LiveConfig['source']): readonly ObjectOrigin[] {
  if (source === 'declarative') return env.DECLARATIVE === undefined ? [] : [declarativeOrigin(env.DECLARATIVE)];
  return [bundleCache(env), new NodeClient(env.NODE)];
}

function reader(env: Env, origins: readonly ObjectOrigin[], found?: Candidate['found']): ReadObject {
  return async (name, limit) => {
    const object = await findObject(name, limit, origins, (origin, reason) => reportDamage(env, origin, reason));
    found?.(name, object);
    return object.bytes;
  };
}

/** The next origin mends it; still, whoever runs the node must hear that something was altered at rest or on its way. */
function reportDamage(env: Env, origin: ObjectOrigin, damage: string): void {
  const reason = `${origin.name}: ${damage}`;
  console.error(reason);
  new NodeClient(env.NODE)
    .report({ type: 'rejected', serial: null, reason })
    .catch((error: unknown) => console.error(`not reported: ${messageOf(error)}`));
}
