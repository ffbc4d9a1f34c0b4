import { messageOf } from '../../shared/thrown.ts';
import type { Address } from './address.ts';
import type { UpstreamDirectory } from './directory.ts';
import type { ToldFailure } from './failure-runs.ts';
import { HEALTH_PATH, parseHealthAnswer } from './health-messages.ts';
import type { AddressVerdict } from './health-view.ts';
import { checksHealth, type Upstream } from './upstream.ts';

/** Milliseconds between an isolate's questions to the node's health checker while it balances requests. */
const INTERVAL = 1_000;
/** The same where there is nothing to check, only what somebody has marked by hand, and each question is paid for. */
const FAR_INTERVAL = 30_000;
/** Milliseconds an answer may take. */
const TIMEOUT = 5_000;

/** The most failures that wait to be told: more than any threshold asks for. */
const MAX_FAILURES = 1_000;

type WaitUntil = (work: Promise<unknown>) => void;

/** Keeps one isolate's view of target health in step with the node's, off the path of requests. */
export interface HealthSync {
  /** A request is about to be balanced over this upstream. */
  touch(upstream: Upstream, balancers: UpstreamDirectory, waitUntil: WaitUntil): void;
  /** Requests of this isolate have made an address available or unavailable. */
  changed(upstream: Upstream, address: Address, healthy: boolean): void;
  /** One of them failed; the node counts those of all isolates. */
  failed(upstream: Upstream, address: Address, kind: ToldFailure['kind']): void;
  /** The upstreams of all configs in force, where there are several: all of them hear what one asks for. */
  inForce(several: readonly UpstreamDirectory[]): void;
}

/** For request paths without a node around them. */
export const noHealthSync: HealthSync = {
  touch: () => undefined,
  changed: () => undefined,
  failed: () => undefined,
  inForce: () => undefined,
};

/** The part of `env.NODE` used here. */
interface Node {
  fetch(
    url: string,
    init: { readonly method: string; readonly body: string; readonly signal: AbortSignal },
  ): Promise<{ readonly status: number; json(): Promise<unknown> }>;
}

/** Keeps in step with the health checker reached through `node`; `near`: in the same box. */
export function createHealthSync(node: Node, near: boolean): HealthSync {
  let pending: AddressVerdict[] = [];
  let failures: ToldFailure[] = [];
  let telling = false;
  let epoch: string | null = null;
  let since = 0;
  let askedAt = 0;
  let all: readonly UpstreamDirectory[] = [];
  /** Those that were told of all addresses they have, by their version then. */
  const told = new WeakMap<UpstreamDirectory, number>();

  const inUse = (balancers: UpstreamDirectory): ReadonlySet<UpstreamDirectory> => new Set([balancers, ...all]);

  /** False when nobody answered. */
  async function exchange(balancers: UpstreamDirectory): Promise<boolean> {
    // The node may have judged an address before it came here, by other config or from the DNS, and says so once.
    const whole = [...inUse(balancers)].some((directory) => told.get(directory) !== directory.version);
    const changes = pending;
    const seen = failures;
    pending = [];
    failures = [];
    try {
      const response = await node.fetch(`http://node${HEALTH_PATH}`, {
        method: 'POST',
        body: JSON.stringify({ epoch: whole ? null : epoch, since, changes, failures: seen }),
        signal: AbortSignal.timeout(TIMEOUT),
      });
      // A node without a health checker: every isolate for itself.
      if (response.status === 404) return true;
      if (response.status !== 200) throw new Error(`answered ${response.status}`);
      const answer = parseHealthAnswer(await response.json());
      epoch = answer.epoch;
      since = answer.version;
      for (const directory of inUse(balancers)) {
        for (const verdict of answer.verdicts) applyVerdict(directory, verdict);
        if (whole) told.set(directory, directory.version);
      }
      return true;
    } catch (error) {
      // This isolate goes on with what it saw itself, and tells it with the next exchange.
      pending = [...changes, ...pending];
      failures = [...seen, ...failures].slice(-MAX_FAILURES);
      console.warn(`health checker: ${messageOf(error)}`);
      return false;
    }
  }

  /** Until all is told. */
  async function tell(balancers: UpstreamDirectory): Promise<void> {
    let answered = true;
    do answered = await exchange(balancers);
    while (answered && failures.length > 0);
    telling = false;
  }

  return {
    touch(upstream, balancers, waitUntil) {
      const now = Date.now();
      // A clock that was set back must not put it off.
      const late = Math.abs(now - askedAt) >= (near || checksHealth(upstream.health) ? INTERVAL : FAR_INTERVAL);
      // While many requests fail, what they saw is told in batches.
      const news = pending.length > 0 || (failures.length > 0 && (!telling || late));
      if (!news && !late) return;
      askedAt = now;
      telling = true;
      waitUntil(tell(balancers));
    },
    failed(upstream, { key, state }, kind) {
      if (failures.length >= MAX_FAILURES) return;
      failures.push({ upstream: upstream.id, address: key, kind, at: Date.now(), successAt: state.successAt });
    },
    changed(upstream, { key }, healthy) {
      pending.push({ upstream: upstream.id, address: key, healthy });
    },
    inForce(several) {
      all = several;
    },
  };
}

/** Takes over a verdict for an address that is still a target. */
export function applyVerdict(balancers: UpstreamDirectory, verdict: AddressVerdict): void {
  for (const { key, state } of balancers.byId(verdict.upstream)?.addresses ?? []) {
    if (key === verdict.address && state.health.available !== verdict.healthy) state.health.set(verdict.healthy);
  }
}
