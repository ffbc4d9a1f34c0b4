import { BundleRefused } from '../../shared/bundle/verification.ts';
import { pluginMismatch } from '../../shared/cluster/compatibility.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Env } from '../env.ts';
import { bundleCache, type CachedManifest } from './cache.ts';
import { type CurrentConfig, type Held, restingOrigins } from './current.ts';
import { declarativeManifest } from './declarative.ts';
import { type News, NodeClient, type Told } from './node.ts';
import { type Standing, verifyResting } from './trust.ts';

/** Milliseconds the owner of the link gets to say what was applied last. It answers from memory or its own disk. */
const OWNER_TIMEOUT = 2_000;

/**
 * Gives an isolate its first config, as Kong's documents order it: what the node applied last (the cache, or the copy
 * of the manifest that the owner of the link keeps), else `declarative_config`, else empty; a node that had a config of a
 * control plane and cannot load it is neither of these but unavailable. Asking the owner also makes
 * it contact a control plane, in all cases; it is told which isolate asks, and `learned` hears what it said. Whatever is refused on the way is logged and reported; nothing is
 * thrown.
 */
export async function startSequence(
  env: Env,
  current: CurrentConfig,
  told: Told,
  learned: (news: News) => void,
): Promise<Held> {
  const node = new NodeClient(env);
  const report = async (what: string, error: unknown): Promise<void> => {
    const reason = `${what}: ${messageOf(error)}`;
    console.error(reason);
    // KV on Cloudflare's network is up to a minute behind: an older manifest there is no replay.
    const stale =
      error instanceof BundleRefused && error.reason === 'serial' && env.SETTINGS.node.host === 'cloudflare';
    if (!stale) await node.report({ type: 'rejected', serial: null, reason }).catch(() => undefined);
  };

  const [cached, news] = await Promise.all([
    bundleCache(env)
      .manifest()
      .catch((error: unknown) => report('cache', error).then(() => 'unreadable' as const)),
    node.news(null, { timeout: OWNER_TIMEOUT, told }).catch((error: unknown) => {
      console.error(`the owner of the link does not answer: ${messageOf(error)}`);
      return null;
    }),
  ]);

  if (news !== null) learned(news);
  const copies = [cached === 'unreadable' ? null : cached, news?.newest ?? null];
  const hadOne = cached !== null || (news !== null && news.highestSerial !== null);
  // Its owner's file must not undo what a control plane gave, such as the plugins that protect a route.
  const mayDeclare = !hadOne || env.SETTINGS.controlPlanes === 0;
  const held =
    (await resting(env, current, copies, news ?? UNKNOWN, report)) ??
    (mayDeclare ? await declarative(env, current, report) : null) ??
    (hadOne || news === null ? current.lost(env) : current.empty(env));
  current.replace(held);
  return current.held ?? held;
}

const UNKNOWN: Standing = { cluster: null, highestSerial: null, statements: [] };

type ReportRefusal = (what: string, error: unknown) => Promise<void>;

/** The last config of a control plane that can still be verified and loaded; null when there is none. */
async function resting(
  env: Env,
  current: CurrentConfig,
  [cached, remembered]: readonly (CachedManifest | null | undefined)[],
  standing: Standing,
  report: ReportRefusal,
): Promise<Held | null> {
  const copies = [cached, remembered?.manifest === cached?.manifest ? null : remembered];
  for (const copy of copies) {
    if (copy === null || copy === undefined) continue;
    try {
      const verified = await verifyResting(env.SETTINGS, standing, copy, remembered);
      const mismatch = pluginMismatch(current.gateway.plugins, verified.content.plugins);
      if (mismatch !== null) throw new Error(mismatch);
      const manifest = verified.content;
      return await current.build(env, {
        manifest,
        verified,
        source: 'cache',
        origins: restingOrigins(env, 'cache', current.colo),
      });
    } catch (error) {
      await report(copy === cached ? 'cache' : 'last applied config', error);
    }
  }
  return null;
}

async function declarative(env: Env, current: CurrentConfig, report: ReportRefusal): Promise<Held | null> {
  if (env.DECLARATIVE === undefined) return null;
  try {
    const manifest = await declarativeManifest(env.DECLARATIVE);
    const origins = restingOrigins(env, 'declarative', null);
    return await current.build(env, { manifest, verified: null, source: 'declarative', origins });
  } catch (error) {
    await report('declarative_config', error);
    return null;
  }
}
