import { pluginMismatch } from '../../shared/cluster/compatibility.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Env } from '../env.ts';
import { atMost } from './at-most.ts';
import { CurrentConfig, type Gateway, type Held, restingOrigins } from './current.ts';
import type { LiveConfig } from './live.ts';
import { NodeClient } from './node.ts';
import { startSequence } from './start.ts';
import { Traffic } from './traffic.ts';
import { verifyResting } from './trust.ts';

type WaitUntil = (work: Promise<unknown>) => void;

/** Milliseconds. A request that finds a start under way waits this long for it before it starts by itself. */
const START_PATIENCE = 5_000;
/** Milliseconds the first request after a quiet time waits for news at most: of an owner on the same box, or a long way off. */
const NEWS_PATIENCE = 500;
const NEWS_PATIENCE_CLOUDFLARE = 50;
/** Milliseconds the first request after a quiet time waits for secrets at most. */
const SECRETS_WAIT = 50;
/** Milliseconds that secrets may be older than their time without a request waiting for new ones. */
const SECRETS_PATIENCE = 1_000;
/** On Cloudflare: so many intervals without a request, and the config may be old: the next request waits for the answer. */
const IDLE_INTERVALS = 4;
/**
 * Milliseconds what the owner said holds good elsewhere. Nobody tells an isolate anything between its questions, so one that
 * has had no request for longer than this asks before it serves: on a box that is no way to go.
 */
const FRESH = 25;
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
  #starting: Promise<Held> | null = null;
  /** Milliseconds since the epoch. Between the two nothing is asked: a question is under way, or was lately. */
  #askedAt = 0;
  #askAgainAt = 0;
  /** When the owner said last that there is nothing newer than what is held. */
  #knownAt = 0;
  /** A question whose answer requests wait for. */
  #catchingUp: Promise<boolean> | null = null;
  #ownsLink = false;

  constructor(gateway: Gateway) {
    this.current = new CurrentConfig(gateway);
  }

  /** The config for one request: at once when there is one, unless this isolate has been asleep. */
  config(env: Env, waitUntil: WaitUntil): LiveConfig | Promise<LiveConfig> {
    const held = this.current.held;
    if (held === null) return this.started(env, waitUntil).then(({ live }) => live);
    const now = Date.now();
    const { secretsDue } = this.current;
    if (now >= secretsDue) {
      const refreshing = this.current.refreshSecrets(env).catch((error: unknown) => {
        console.error(`secrets cannot be read again: ${messageOf(error)}`);
      });
      waitUntil(refreshing);
      // No request came when they were due: they may be much older than their time.
      if (now - secretsDue > SECRETS_PATIENCE)
        return Promise.race([refreshing, after(SECRETS_WAIT)]).then(() => (this.current.held ?? held).live);
    }
    // A clock that was set back must not put the next question off for as long.
    if (now >= this.#askedAt && now < this.#askAgainAt)
      return this.#catchingUp === null ? held.live : this.#caughtUp(env, this.#catchingUp, held);
    this.#askedAt = now;
    const { newsInterval, node } = env.SETTINGS;
    if (this.#ownsLink) {
      this.#askAgainAt = now + OWNED_INTERVAL;
      waitUntil(this.#ask(env, 0));
      return held.live;
    }
    const waits = node.host !== 'cloudflare';
    const asleep = now - this.#knownAt >= (waits ? FRESH : IDLE_INTERVALS * newsInterval);
    const wait = waits && !asleep ? NEWS_WAIT : 0;
    // Also the end of it where the request that asked, and its work with it, is gone.
    this.#askAgainAt = now + wait + newsInterval;
    const asking = this.#ask(env, wait).then((current) => {
      this.#knownAt = Date.now();
      // An owner that fails, or has what cannot be loaded, is not asked with every request.
      this.#askAgainAt = current && waits ? 0 : now + newsInterval;
      this.#catchingUp = null;
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
    this.#knownAt = Date.now();
    const starting = startSequence(env, this.current);
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

  /** Asks for news and applies it. False when what is held may not be the newest after all. */
  async #ask(env: Env, wait: number): Promise<boolean> {
    const node = new NodeClient(env.NODE);
    try {
      const held = this.current.held?.verified ?? null;
      const news = await node.news(held?.content ?? null, {
        timeout: wait + NEWS_TIMEOUT,
        wait,
        told: this.traffic.told,
      });
      if (news === null) return true;
      // An owner that rests nothing has forgotten after a restart what is held here.
      if (news.newest === null) return held === null;
      try {
        const verified = await verifyResting(env.SETTINGS, news, news.newest, news.newest);
        const mismatch = pluginMismatch(this.current.gateway.plugins, verified.content.plugins);
        if (mismatch !== null) throw new Error(mismatch);
        const candidate = { manifest: verified.content, verified, source: 'control_plane' } as const;
        const next = await this.current.build(env, { ...candidate, origins: restingOrigins(env, 'control_plane') });
        this.current.replace(next);
        // At once, so that the owner knows when all of a box have taken a change.
        return env.SETTINGS.node.host === 'cloudflare' || (await this.#ask(env, wait));
      } catch (error) {
        const reason = `news: ${messageOf(error)}`;
        console.error(reason);
        await node.report({ type: 'rejected', serial: null, reason });
      }
    } catch (error) {
      console.error(`the owner of the link does not answer: ${messageOf(error)}`);
    }
    return false;
  }
}

function after(milliseconds: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), milliseconds));
}
