import type { Manifest, PublicKeyJwk } from '../../shared/bundle/format.ts';
import { followStatements, isStatement, type KeyTrust, without } from '../../shared/bundle/key-statement.ts';
import { signerOf } from '../../shared/bundle/signature.ts';
import { BundleRefused, trustedAfter, verifyManifest } from '../../shared/bundle/verification.ts';
import type { WorkerSettings } from '../settings.ts';
import type { CachedManifest } from './cache.ts';

/** What this node already knows about the bundles it may take. */
export interface Standing {
  /** Null: not decided yet. */
  readonly cluster: string | null;
  /** The highest serial ever applied, null before the first. */
  readonly highestSerial: number | null;
  /** Statements about signing keys that this node follows (`shared/bundle/key-statement.ts`). */
  readonly statements: readonly string[];
}

/** The same, for bundles that arrive. */
export interface Membership extends Standing {
  /** The group that a control plane said this node is of; null: none has said so. */
  readonly group: string | null;
}

/** A manifest that is genuine, with the keys to trust for its successor. */
export interface VerifiedManifest extends CachedManifest {
  readonly content: Manifest;
  readonly trustedKeys: readonly PublicKeyJwk[];
  /** Ids of keys that were revoked when it was verified. */
  readonly revoked: ReadonlySet<string>;
}

/** What a list of statements came to last: every order is judged by it. */
const followed = new WeakMap<readonly string[], { readonly from: string; readonly trust: Promise<KeyTrust> }>();

/** Whom a node believes by what it was given and what it has followed since. */
export function trustOf(settings: WorkerSettings, standing: Omit<Standing, 'highestSerial'>): Promise<KeyTrust> {
  const { statements } = standing;
  const cluster = settings.cluster ?? standing.cluster;
  const from = `${cluster} ${settings.trustedKeys.map(({ kid }) => kid).join()}`;
  const known = followed.get(statements);
  if (known?.from === from) return known.trust;
  const trust = followStatements(settings.trustedKeys, cluster, statements);
  followed.set(statements, { from, trust });
  return trust;
}

/**
 * Verifies a manifest at rest: its signature through the statements and manifests that introduced its key, its cluster and
 * serial. Its expiry is not asked about: what was once applied keeps serving when nothing newer can be had. Nor is its group, which may
 * be another by now. For the same reason `applied`, what this node itself remembers to serve, may be signed by a key that was
 * revoked since; a copy in the cache may not. Throws `BundleRefused`.
 */
export async function verifyResting(
  settings: WorkerSettings,
  standing: Standing,
  cached: CachedManifest,
  applied: CachedManifest | null = null,
): Promise<VerifiedManifest> {
  const own = { cluster: settings.cluster ?? standing.cluster, group: null, now: null };
  const statements = [...standing.statements, ...cached.introductions.filter(isStatement)];
  const trust = await trustOf(settings, { ...standing, statements });
  const remembered = applied?.manifest === cached.manifest;
  const keys = remembered ? [...trust.keys, ...trust.revoked] : trust.keys;
  const verified = (trustedKeys: readonly PublicKeyJwk[]): Promise<Manifest> => {
    refuseRevoked(cached.manifest, remembered ? [] : trust.revoked);
    return verifyManifest(cached.manifest, { ...own, trustedKeys, highestSerial: standing.highestSerial });
  };
  const content = await verified(keys).catch(async (error: unknown) => {
    if (!(error instanceof BundleRefused && error.reason === 'unknown_key')) throw error;
    let trustedKeys = keys;
    for (const introduction of cached.introductions) {
      if (isStatement(introduction)) continue;
      const introducing = await verifyManifest(introduction, { ...own, trustedKeys, highestSerial: null });
      trustedKeys = remembered
        ? trustedAfter(keys, introducing)
        : without(trustedAfter(keys, introducing), trust.revoked);
    }
    return verified(trustedKeys);
  });
  return { ...cached, content, ...successors(trust, { manifest: cached.manifest, content }) };
}

/**
 * Verifies a manifest a control plane sent, expiry included, as the successor of `before`. Throws `BundleRefused`.
 */
export async function verifyArriving(
  settings: WorkerSettings,
  standing: Membership,
  before: VerifiedManifest | null,
  manifest: string,
): Promise<VerifiedManifest> {
  const trust = await trustOf(settings, standing);
  const { trustedKeys } = successors(trust, before);
  refuseRevoked(manifest, trust.revoked);
  const content = await verifyManifest(manifest, {
    trustedKeys,
    cluster: settings.cluster ?? standing.cluster,
    group: standing.group ?? settings.node.group,
    highestSerial: standing.highestSerial,
    now: Math.floor(Date.now() / 1000),
  });
  return {
    manifest,
    content,
    introductions: await introductionsOf(settings, trust, before, manifest),
    ...successors(trust, { manifest, content }),
  };
}

/** Whom to believe after `last`: also the keys it introduces, unless who signed it is believed no more. */
export function successors(
  trust: KeyTrust,
  last: Pick<VerifiedManifest, 'manifest' | 'content'> | null,
): Pick<VerifiedManifest, 'trustedKeys' | 'revoked'> {
  const revoked = new Set(trust.revoked.map(({ kid }) => kid));
  if (last === null || isSignedBy(last.manifest, revoked)) return { trustedKeys: trust.keys, revoked };
  return { trustedKeys: without(trustedAfter(trust.keys, last.content), trust.revoked), revoked };
}

/** Whether one of the keys has signed it, as it says itself. */
export function isSignedBy(manifest: string, kids: ReadonlySet<string>): boolean {
  const signer = signerOf(manifest);
  return signer !== null && kids.has(signer);
}

function refuseRevoked(manifest: string, revoked: readonly PublicKeyJwk[]): void {
  const signer = signerOf(manifest);
  if (!revoked.some(({ kid }) => kid === signer)) return;
  throw new BundleRefused('revoked_key', `manifest: signed by key ${signer}, which was revoked`);
}

/** The shortest way from the pinned keys to the key that signed `manifest`, as at rest it must verify by itself. */
async function introductionsOf(
  settings: WorkerSettings,
  trust: KeyTrust,
  before: VerifiedManifest | null,
  manifest: string,
): Promise<readonly string[]> {
  if (before === null) return trust.statements;
  const earlier = before.introductions.filter((introduction) => !isStatement(introduction));
  for (const introduced of [[], earlier, [...earlier, before.manifest]]) {
    const introductions = [...trust.statements, ...introduced];
    const anew = { cluster: null, highestSerial: null, statements: [] };
    const verified = verifyResting(settings, anew, { manifest, introductions });
    if (await verified.then(Boolean, () => false)) return introductions;
  }
  return [...trust.statements, ...earlier];
}
