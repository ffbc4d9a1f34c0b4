import type { Manifest } from '../../shared/bundle/format.ts';
import type { ManifestSplit } from '../../shared/bundle/split.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Env } from '../env.ts';
import { jsonResponse } from '../http/messages.ts';
import { abandonPlans } from '../plugins/runtime/settle-plans.ts';
import type { RequestPath, ServedPath } from '../proxy/request-path.ts';
import { NO_REFERRING_ROWS, type ReferringRows } from '../vaults/referring-rows.ts';
import { VaultResolution } from '../vaults/resolution.ts';
import { atMost } from './at-most.ts';
import { bundleCache } from './cache.ts';
import type { ColoCache } from './colo-cache.ts';
import { declarativeOrigin } from './declarative.ts';
import { type LazyTables, lazyTables, ShardMemory } from './lazy.ts';
import type { LiveConfig } from './live.ts';
import { NodeClient } from './node.ts';
import { type FoundObject, findObject, type ObjectOrigin } from './objects.ts';
import { splitPath } from './split-path.ts';
import { changesBetween, NO_TABLES, type ReadObject, readTables, type Tables } from './tables.ts';
import { isSignedBy, type VerifiedManifest } from './trust.ts';
import { othersTurn, shortTurn, updateInSlices } from './update-in-slices.ts';

/** What the request path is made by; `worker.ts` names it, so that this half is built without knowing that one. */
export interface Gateway {
  /** The request path of an empty config. */
  readonly createRequestPath: (env: Env, vaults: VaultResolution) => RequestPath;
  /** Plugins this Worker can run, with versions. */
  readonly plugins: Readonly<Record<string, string>>;
}

/** A config, compiled: what the next one is built from. */
interface Compiled {
  readonly path: RequestPath;
  readonly tables: Tables;
  readonly referring: ReferringRows;
  readonly lazy: LazyTables;
}

/** What an isolate holds: what requests see, the config that it is, and the one that is tried on some of them. */
export interface Held extends Compiled {
  readonly live: LiveConfig;
  /** Null for the empty and the declarative config, which no control plane signed. */
  readonly verified: VerifiedManifest | null;
  readonly trial: HeldTrial | null;
  /** How many configs requests had seen when it was begun to be made, of the last of them. */
  readonly turn: number;
}

interface HeldTrial extends Compiled {
  readonly split: ManifestSplit;
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
  /** Where other isolates may have left what is read; null: nowhere. */
  colo: ColoCache | null = null;
  readonly #shards = new ShardMemory(SHARD_MEMORY);
  #held: Held | null = null;
  #turn = 0;
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
    const lazy = lazyTables(NO_TABLES, this.#shards, reader(env, []));
    const compiled = { path: this.#emptyPath, tables: NO_TABLES, referring: NO_REFERRING_ROWS, lazy };
    const nobodys = { serial: null, configHash: null, source: 'empty', verified: null, turn: this.#turn } as const;
    return held(nobodys, compiled, null);
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
    return { ...empty, live: { ...empty.live, path: withoutConfig(empty.path) } };
  }

  /**
   * Loads and compiles what the candidate changes relative to what is held. Requests do not see it before `replace`; to be given to
   * that, or to `abandon`. Throws `ObjectUnavailable`, `BundleRefused`, or the request path's `ConfigError`.
   */
  async build(env: Env, { manifest, verified, source, origins, found }: Candidate): Promise<Held> {
    const last = this.#held === null || this.#held.live.source === 'empty' ? this.empty(env) : this.#held;
    const turn = this.#turn;
    const read = reader(env, origins, found);
    const rests = reader(env, restingOrigins(env, source, this.colo));
    const { config_hash: configHash, serial, split } = manifest;
    // What was tried becomes everybody's as it is.
    const from = last.trial?.split.config_hash === configHash ? last.trial : last;
    const config = await this.#compile(env, manifest, from, read, rests);
    const known = last.trial?.split.config_hash === split?.config_hash && config.path === last.path ? last.trial : null;
    try {
      const trial = split && { ...(known ?? (await this.#compile(env, split, config, read, rests))), split };
      return held({ serial, configHash, source, verified, turn }, config, trial ?? null);
    } catch (error) {
      this.#letGo([config.path]);
      throw error;
    }
  }

  /** The config of some tables, made from another. */
  async #compile(
    env: Env,
    named: Pick<Manifest, 'tables'>,
    from: Compiled,
    read: ReadObject,
    rests: ReadObject,
  ): Promise<Compiled> {
    const tables = await readTables(named, from.tables, read);
    const { changes, referring } = await this.vaults(env).resolve(from.referring, changesBetween(from.tables, tables));
    const turn = this.#held === null ? shortTurn : othersTurn;
    const path = changes.size === 0 ? from.path : await updateInSlices(from.path, changes, turn);
    // So that no request has to wait for a name; a DNS that is slow must not keep config from being applied.
    await atMost(NAMES_PATIENCE, path.balancers.resolve());
    return { path, tables, referring, lazy: lazyTables(tables, this.#shards, rests) };
  }

  /** Reads the secrets that are due, and compiles anew what has others then. */
  async refreshSecrets(env: Env): Promise<void> {
    const vaults = this.vaults(env);
    const before = this.#held;
    if (before === null) return;
    // No other request does the same meanwhile; one that is broken off is made good for.
    vaults.due = Date.now() + REFRESH_PATIENCE;
    const turn = this.#turn;
    const config = await renewed(vaults, before);
    const trial =
      before.trial === null ? null : { ...before.trial, ...(await this.#renewedTrial(vaults, before.trial, config)) };
    const { live, verified } = before;
    const next = held({ ...live, verified, turn }, config, trial);
    // Newer config has come meanwhile; what it lacks of this is due.
    if (this.#held !== before) {
      this.abandon(next);
      return vaults.settle(...referringOf(this.#held));
    }
    const changed = next.path !== before.path || next.trial?.path !== before.trial?.path;
    if (changed) this.#hold(next);
    else vaults.settle(...referringOf(next));
  }

  /** Makes `next` what requests see, unless something newer has come meanwhile: then it is abandoned. */
  replace(next: Held): void {
    if (this.#held !== null && !supersedes(next, this.#held)) this.abandon(next);
    else this.#hold(next);
  }

  /** Requests will never see it: lets go of what is its own. */
  abandon(next: Held): void {
    this.#letGo(pathsOf(next));
  }

  #letGo(paths: readonly RequestPath[]): void {
    const kept = this.#held === null ? [] : pathsOf(this.#held);
    const plansOf = (all: readonly RequestPath[]) => all.flatMap(({ plans }) => plans);
    abandonPlans(plansOf(paths), plansOf(kept));
  }

  /** Of a config whose own secrets are read again already. */
  async #renewedTrial(vaults: VaultResolution, trial: Compiled, config: Compiled): Promise<Compiled> {
    try {
      return await renewed(vaults, trial);
    } catch (error) {
      this.#letGo([config.path]);
      throw error;
    }
  }

  #hold(next: Held): void {
    const before = this.#held === null ? [] : pathsOf(this.#held);
    // Another has come since it was begun: it does not know what that one had.
    const apart = next.turn !== this.#turn;
    this.#held = next;
    this.#turn += 1;
    const [path, ...beside] = pathsOf(next);
    path.settle(before, beside, apart);
    this.#vaults?.settle(...referringOf(next));
  }
}

/** What requests see of a config, and of one that is tried on some of them. */
function held(
  of: Pick<LiveConfig, 'serial' | 'configHash' | 'source'> & Pick<Held, 'verified' | 'turn'>,
  config: Compiled,
  trial: HeldTrial | null,
): Held {
  const { serial, configHash, source, verified, turn } = of;
  const { path, tables, referring, lazy } = config;
  const live: LiveConfig = {
    serial,
    configHash,
    source,
    path: trial === null ? path : splitPath(path, trial),
    lazy,
    split: trial === null ? null : trial.split,
  };
  return { live, verified, path, tables, referring, lazy, trial, turn };
}

function pathsOf({ path, trial }: Held): readonly [RequestPath, ...RequestPath[]] {
  return trial === null ? [path] : [path, trial.path];
}

function referringOf(of: Held | null): readonly ReferringRows[] {
  if (of === null) return [];
  return of.trial === null ? [of.referring] : [of.referring, of.trial.referring];
}

/** A config with the secrets as they are now. */
async function renewed(vaults: VaultResolution, config: Compiled): Promise<Compiled> {
  const { path, tables, lazy } = config;
  const { changes, referring } = await vaults.resolve(config.referring, new Map());
  return { path: changes.size === 0 ? path : path.update(changes), tables, referring, lazy };
}

/**
 * Newer; or in the place of what a key has signed that was revoked since, wherever that one let serials go. What no control plane signed
 * is of a start, and there may be two at once: one that found something takes the place of one that found nothing, and of no other.
 */
function supersedes({ live, verified: next }: Held, { live: before, verified: held }: Held): boolean {
  if (next === null) return before.source === 'empty' && live.source !== 'empty';
  if (held === null) return true;
  return next.content.serial >= held.content.serial || isSignedBy(held.manifest, next.revoked);
}

function withoutConfig(empty: RequestPath): ServedPath {
  return {
    balancers: empty.balancers,
    shownMetrics: { counts: false, upstreamHealth: false },
    explain: (request, caller) => empty.explain(request, caller),
    serverCertificate: () => null,
    beginTls: () => null,
    openSession: () => null,
    finish: () => empty.finish(),
    handle: async () => jsonResponse(503, { message: 'no configuration available' }, { 'retry-after': '5' }),
  };
}

/** Where a config's objects are found while it serves. */
export function restingOrigins(
  env: Env,
  source: LiveConfig['source'],
  colo: ColoCache | null,
): readonly ObjectOrigin[] {
  if (source === 'declarative') return env.DECLARATIVE === undefined ? [] : [declarativeOrigin(env.DECLARATIVE)];
  const origins = [bundleCache(env), new NodeClient(env)];
  return colo === null ? origins : colo.objects(origins);
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
  new NodeClient(env)
    .report({ type: 'rejected', serial: null, reason })
    .catch((error: unknown) => console.error(`not reported: ${messageOf(error)}`));
}
