import type { Bytes, ObjectName } from '../../shared/bundle/format.ts';
import { pluginMismatch } from '../../shared/cluster/compatibility.ts';
import type { ManifestMessage } from '../../shared/cluster/messages.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { CachedManifest } from '../config/cache.ts';
import type { CurrentConfig } from '../config/current.ts';
import { type ObjectOrigin, ObjectUnavailable } from '../config/objects.ts';
import {
  isSignedBy,
  type Membership,
  type Standing,
  successors,
  trustOf,
  type VerifiedManifest,
  verifyArriving,
  verifyResting,
} from '../config/trust.ts';
import type { Env } from '../env.ts';
import type { BundleStore } from './bundle-store.ts';
import { type ControlPlane, controlPlaneOrigin, inlineOrigin } from './control-planes.ts';

export type Adoption =
  | { readonly outcome: 'applied'; readonly serial: number; readonly configHash: string }
  /** The bundle is bad; the same one stays bad. `serial` is null when the manifest could not be read. */
  | { readonly outcome: 'refused'; readonly serial: number | null; readonly reason: string }
  /** An object or the cache could not be had this time. */
  | {
      readonly outcome: 'interrupted';
      readonly serial: number;
      readonly reason: string;
      readonly of: 'cache' | 'object';
    };

interface Arrival {
  readonly message: ManifestMessage;
  readonly standing: Membership;
  /** Where its objects may be besides. */
  readonly origins?: readonly ObjectOrigin[];
  /** The manifest applied last, for when the isolate could not load it. */
  readonly newest: CachedManifest | null;
  /** Makes the adopted manifest the lowest this node will ever take; called before requests see it. */
  readonly remember: (adopted: VerifiedManifest) => Promise<void>;
}

/**
 * Takes a manifest from a control plane, all or nothing: verify, load and compile what changed; then write objects, the
 * manifest, and the serial; then let requests see it. Whatever fails on the way, the earlier config keeps serving.
 */
export async function adopt(
  env: Env,
  current: CurrentConfig,
  store: BundleStore,
  planes: readonly ControlPlane[],
  { message, standing, origins = [], newest, remember }: Arrival,
): Promise<Adoption> {
  let verified: VerifiedManifest;
  try {
    const before = await verifiedLast(env, current, standing, newest);
    const { revoked } = successors(await trustOf(env.SETTINGS, standing), null);
    // What a revoked key has signed holds nobody back.
    const lowest = before !== null && isSignedBy(before.manifest, revoked) ? standing : atLeast(standing, before);
    verified = await verifyArriving(env.SETTINGS, lowest, before, message.manifest);
  } catch (error) {
    return { outcome: 'refused', serial: null, reason: messageOf(error) };
  }
  const { serial, config_hash: configHash } = verified.content;
  const mismatch = pluginMismatch(current.gateway.plugins, verified.content.plugins);
  if (mismatch !== null) return { outcome: 'refused', serial, reason: mismatch };

  const arriving = [inlineOrigin(message.objects), ...origins, ...planes.map(controlPlaneOrigin)];
  const found = new Map<ObjectName, Bytes>();
  try {
    const next = await current.build(env, {
      manifest: verified.content,
      verified,
      source: 'control_plane',
      origins: [store.origin, ...arriving],
      found: (name, { gzip, origin }) => {
        if (origin !== store.origin) found.set(name, gzip);
      },
    });
    try {
      await store.save(
        verified,
        next.trial === null ? [next.tables] : [next.tables, next.trial.tables],
        found,
        arriving,
      );
      await remember(verified);
    } catch (error) {
      current.abandon(next);
      return { outcome: 'interrupted', serial, reason: `cache: ${messageOf(error)}`, of: 'cache' };
    }
    current.replace(next);
    return { outcome: 'applied', serial, configHash };
  } catch (error) {
    const reason = messageOf(error);
    if (error instanceof ObjectUnavailable) return { outcome: 'interrupted', serial, reason, of: 'object' };
    return { outcome: 'refused', serial, reason };
  }
}

/** The config in use speaks for itself where what was remembered of it is lost: nothing older is taken either way. */
function atLeast(standing: Membership, before: VerifiedManifest | null): Membership {
  if (before === null) return standing;
  const { cluster, serial } = before.content;
  return {
    ...standing,
    cluster: standing.cluster ?? cluster,
    highestSerial: Math.max(standing.highestSerial ?? serial, serial),
  };
}

/** The genuine manifest this node took last, whether its isolate could load it or not. */
export async function verifiedLast(
  env: Env,
  current: CurrentConfig,
  standing: Standing,
  newest: CachedManifest | null,
): Promise<VerifiedManifest | null> {
  const loaded = current.held?.verified ?? null;
  if (loaded !== null || newest === null) return loaded;
  return verifyResting(env.SETTINGS, standing, newest, newest).catch(() => null);
}
