import { pluginMismatch } from '../../shared/cluster/compatibility.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Env } from '../env.ts';
import type { EdgeCache } from '../http/edge-cache.ts';
import { atMost } from './at-most.ts';
import type { CachedManifest } from './cache.ts';
import { ColoCache } from './colo-cache.ts';
import { CurrentConfig, type Gateway, type Held, restingOrigins } from './current.ts';
import type { LiveConfig } from './live.ts';
import { type Asked, askForNews } from './news-question.ts';
import { FRESH, IDLE_INTERVALS, LATE, NewsTimes } from './news-times.ts';
import { type News, NodeClient, versionOf } from './node.ts';
import { SharedNews } from './shared-news.ts';
import { startSequence } from './start.ts';
import { Traffic } from './traffic.ts';
import { verifyResting } from './trust.ts';

type WaitUntil = (work: Promise<unknown>) => void;

/** Milliseconds. A request that finds a start under way waits this long for it before it starts by itself. */
const START_PATIENCE = 5_000;
/** Milliseconds the first request after a quiet time waits for news at most: of an owner on the same box, or a long way off. */
const NEWS_PATIENCE = 500;
const NEWS_PATIENCE_CLOUDFLARE = 50;
/** Milliseconds requests that wait for news wait for it to be in use, on a box, once it has come: as long as the owner counts on it. */
const TAKING_PATIENCE = 5_000;
/** Milliseconds for which nothing else is asked on a box while news is put to use, should the work be lost. */
const TAKING = 30_000;
/** Milliseconds the first request after a quiet time waits for secrets at most. */
const SECRETS_WAIT = 50;
/** Milliseconds that secrets may be older than their time without a request waiting for new ones. */
const SECRETS_PATIENCE = 1_000;
/** Milliseconds the owner of the link has to answer a question for news. */
const NEWS_TIMEOUT = 5_000;
/**
 * Milliseconds the owner may keep a question until there is news: all processes of a box then take a change within
 * milliseconds of each other. Short, since a process that is replaced first answers what it was asked.
 */
const NEWS_WAIT = 250;
/** Milliseconds between questions where the owner itself hands over new config: only so that it is never forgotten. */
const OWNED_INTERVAL = 30_000;

/** The life of one isolate's config: started once, then kept fresh by asking the owner of the link for news. */
export class Isolate {
  readonly current: CurrentConfig;
  readonly traffic = new Traffic();
  /** How many processes of this node were started again; null: nobody has told. */
  restarts: number | null = null;
  /** Cloudflare's data center that it is in, by the code of an airport; null: it is in none, or no request has told yet. */
  colo: string | null = null;
  #starting: Promise<Held> | null = null;
  readonly #times = new NewsTimes();
  readonly #edgeCache: EdgeCache | null;
  #sharing: SharedNews | null = null;
  /** A question whose answer requests wait for. */
  #catchingUp: Promise<boolean> | null = null;
  /** Until when requests wait for news that has come to be in use; milliseconds since the epoch. */
  #takingUntil = 0;
  #ownsLink = false;

  /** `edgeCache`: where isolates on Cloudflare share what they are told; absent: each asks for itself. */
  constructor(gateway: Gateway, edgeCache: EdgeCache | null = null) {
    this.current = new CurrentConfig(gateway);
    this.#edgeCache = edgeCache;
  }

  /** The config for one request: at once when there is one, unless this isolate has been asleep. */
  config(env: Env, waitUntil: WaitUntil): LiveConfig | Promise<LiveConfig> {
    const held = this.current.held;
    if (held === null) {
      return this.started(env, waitUntil).then((started) =>
        // A start takes its time, in which what it was told at the beginning may have become old.
        env.SETTINGS.node.host === 'cloudflare' ? started.live : this.#newest(env, waitUntil, started),
      );
    }
    const now = Date.now();
    const { secretsDue } = this.current;
    if (now >= secretsDue) {
      const refreshing = this.current.refreshSecrets(env).catch((error: unknown) => {
        console.error(`secrets cannot be read again: ${messageOf(error)}`);
      });
      waitUntil(refreshing);
      // No request came when they were due: they may be much older than their time.
      if (now - secretsDue > SECRETS_PATIENCE)
        return Promise.race([refreshing, after(SECRETS_WAIT)]).then(() => this.#newest(env, waitUntil, held));
    }
    return this.#newest(env, waitUntil, held);
  }

  /** Asks for news where it is time to. `before`: what there was when the request came. */
  #newest(env: Env, waitUntil: WaitUntil, before: Held): LiveConfig | Promise<LiveConfig> {
    const now = Date.now();
    const held = this.current.held ?? before;
    if (this.#times.isResting(now))
      return this.#catchingUp === null ? held.live : this.#caughtUp(env, this.#catchingUp, held);
    const { newsInterval, node } = env.SETTINGS;
    if (this.#ownsLink) {
      this.#times.asks(now, now + OWNED_INTERVAL);
      waitUntil(this.#ask(env, 0));
      return held.live;
    }
    const waits = node.host !== 'cloudflare';
    const asleep = this.#times.isAsleep(now, waits ? FRESH : IDLE_INTERVALS * newsInterval);
    const wait = waits && !asleep ? NEWS_WAIT : 0;
    this.#times.asks(now, now + wait + newsInterval);
    const asking = this.#ask(env, wait).then(({ current, known, holds, saidBy }) => {
      const answered = Date.now();
      if (known) this.#times.knows(Math.min(answered, saidBy));
      // An owner that fails, or has what cannot be loaded, is not asked with every request.
      this.#times.answered(current && waits ? 0 : holds === null ? now + newsInterval : answered + holds);
      this.#catchingUp = null;
      this.#takingUntil = 0;
      return current;
    });
    waitUntil(asking);
    if (!asleep) return held.live;
    this.#catchingUp = asking;
    return this.#caughtUp(env, asking, held);
  }

  async #caughtUp(env: Env, asking: Promise<boolean>, held: Held): Promise<LiveConfig> {
    const patience = env.SETTINGS.node.host === 'cloudflare' ? NEWS_PATIENCE_CLOUDFLARE : NEWS_PATIENCE;
    await atMost(patience, asking);
    const left = Math.min(this.#takingUntil - Date.now(), TAKING_PATIENCE);
    if (left > 0) await atMost(left, asking);
    return (this.current.held ?? held).live;
  }

  /** Runs the start sequence unless it has run. */
  async started(env: Env, waitUntil: WaitUntil): Promise<Held> {
    if (this.current.held !== null) return this.current.held;
    if (this.#starting !== null) {
      // The request that began the start may be gone, and its work with it: wait for it, but not for ever.
      const held = await Promise.race([this.#starting, after(START_PATIENCE)]);
      const started = held ?? this.current.held;
      if (started !== null) return started;
    }
    // The start sequence asks the owner too.
    this.#times.knows(Date.now());
    this.sharing(env);
    const starting = startSequence(env, this.current, this.traffic.told, ({ seal }) => {
      if (seal !== undefined) this.current.colo?.unlock(seal);
    });
    this.#starting = starting;
    waitUntil(starting);
    return starting;
  }

  /**
   * Called by the owner of the link when it lives in this isolate: it swaps the config here by itself. Not believed on
   * Cloudflare's network, where a Durable Object may move away from an isolate that lives on.
   */
  linkOwned(env: Env): void {
    this.#ownsLink = env.SETTINGS.node.host !== 'cloudflare';
  }

  /** By which isolates of a data center share what they are told; null: each asks for itself. */
  sharing(env: Env): SharedNews | null {
    const { node, cacheMode, newsInterval } = env.SETTINGS;
    // With cache mode `off` nothing is to rest anywhere.
    if (this.#edgeCache === null || node.host !== 'cloudflare' || cacheMode === 'off') return null;
    if (this.#sharing === null) {
      this.current.colo = new ColoCache(this.#edgeCache, node.id);
      this.#sharing = new SharedNews({ colo: this.current.colo, interval: newsInterval });
    }
    return this.#sharing;
  }

  /** Asks for news and applies it. `saidBy`: when the answer may have come at the latest for what it says to hold good as long as others. */
  async #ask(env: Env, wait: number): Promise<Asked & { readonly saidBy: number }> {
    const node = new NodeClient(env);
    const began = Date.now();
    try {
      const held = this.current.held?.verified ?? null;
      const asked = await askForNews({
        held: held && { version: versionOf(held.content), manifest: held.manifest },
        sharing: this.sharing(env),
        ask: (have) => node.news(have, { timeout: wait + NEWS_TIMEOUT, wait, told: this.traffic.told }),
        take: (news, newest) => this.#take(env, news, newest),
      });
      // At once, so that the owner knows when all of a box have taken a change.
      if (env.SETTINGS.node.host === 'cloudflare') return { ...asked, saidBy: Number.POSITIVE_INFINITY };
      if (asked.taken) return await this.#ask(env, wait);
      // That there is none is said when the time to wait for news is over.
      return { ...asked, saidBy: began + (asked.current ? wait : 0) + LATE };
    } catch (error) {
      console.error(`the owner of the link does not answer: ${messageOf(error)}`);
      return { current: false, taken: false, known: true, holds: null, saidBy: Number.POSITIVE_INFINITY };
    }
  }

  /** Verifies and applies it. Resolves with its version; null: it is not to be used, which the owner was told. */
  async #take(env: Env, news: News, newest: CachedManifest): Promise<string | null> {
    if (env.SETTINGS.node.host !== 'cloudflare') {
      const now = Date.now();
      // What takes longer than the time between two questions would be begun again and again.
      this.#times.asks(now, now + TAKING);
      this.#takingUntil = now + TAKING_PATIENCE;
    }
    try {
      const verified = await verifyResting(env.SETTINGS, news, newest, newest);
      const mismatch = pluginMismatch(this.current.gateway.plugins, verified.content.plugins);
      if (mismatch !== null) throw new Error(mismatch);
      const origins = restingOrigins(env, 'control_plane', this.current.colo);
      const manifest = verified.content;
      this.current.replace(await this.current.build(env, { manifest, verified, source: 'control_plane', origins }));
      return versionOf(manifest);
    } catch (error) {
      const reason = `news: ${messageOf(error)}`;
      console.error(reason);
      await new NodeClient(env).report({ type: 'rejected', serial: null, reason });
      return null;
    }
  }
}

function after(milliseconds: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), milliseconds));
}
