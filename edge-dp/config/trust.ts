import type { Manifest, PublicKeyJwk } from '../../shared/bundle/format.ts';
import { BundleRefused, trustedAfter, verifyManifest } from '../../shared/bundle/verification.ts';
import type { WorkerSettings } from '../settings.ts';
import type { CachedManifest } from './cache.ts';

/** What this node already knows about the bundles it may take. */
export interface Standing {
  /** Null: not decided yet. */
  readonly cluster: string | null;
  /** The highest serial ever applied, null before the first. */
  readonly highestSerial: number | null;
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
}

/**
 * Verifies a manifest at rest: its signature through the manifests that introduced its key, its cluster and
 * serial. Its expiry is not asked about: what was once applied keeps serving when nothing newer can be had. Nor is its group, which may
 * be another by now.
 * Throws `BundleRefused`.
 */
export async function verifyResting(
  settings: WorkerSettings,
  standing: Standing,
  cached: CachedManifest,
): Promise<VerifiedManifest> {
  const own = { cluster: settings.cluster ?? standing.cluster, group: null, now: null };
  const verified = (trustedKeys: readonly PublicKeyJwk[]): Promise<Manifest> =>
    verifyManifest(cached.manifest, { ...own, trustedKeys, highestSerial: standing.highestSerial });
  const content = await verified(settings.trustedKeys).catch(async (error: unknown) => {
    if (!(error instanceof BundleRefused && error.reason === 'unknown_key')) throw error;
    let trustedKeys: readonly PublicKeyJwk[] = settings.trustedKeys;
    for (const introduction of cached.introductions) {
      const introducing = await verifyManifest(introduction, { ...own, trustedKeys, highestSerial: null });
      trustedKeys = trustedAfter(settings.trustedKeys, introducing);
    }
    return verified(trustedKeys);
  });
  return { ...cached, content, trustedKeys: trustedAfter(settings.trustedKeys, content) };
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
  const trustedKeys = before?.trustedKeys ?? settings.trustedKeys;
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
    introductions: await introductionsOf(settings, before, manifest),
    trustedKeys: trustedAfter(settings.trustedKeys, content),
  };
}

/** The shortest way from the pinned keys to the key that signed `manifest`, as at rest it must verify by itself. */
async function introductionsOf(
  settings: WorkerSettings,
  before: VerifiedManifest | null,
  manifest: string,
): Promise<readonly string[]> {
  if (before === null) return [];
  const ways = [[], before.introductions, [...before.introductions, before.manifest]];
  for (const introductions of ways) {
    const verified = verifyResting(settings, { cluster: null, highestSerial: null }, { manifest, introductions });
    if (await verified.then(Boolean, () => false)) return introductions;
  }
  return before.introductions;
}
