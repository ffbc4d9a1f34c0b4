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

/** Keeps in step with the health checker reached through `node`; `near`: in the same box. */
export function createHealthSync(node: Pick<Fetcher, 'fetch'>, near: boolean): HealthSync {
  let pending: AddressVerdict[] = [];
  let failures: ToldFailure[] = [];
  let telling = false;
  let epoch: string | null = null;
  let since = 0;
  let askedAt = 0;
  let all: readonly UpstreamDirectory[] = [];

  /** False when nobody answered. */
  async function exchange(balancers: UpstreamDirectory): Promise<boolean> {
    const changes = pending;
    const told = failures;
    pending = [];
    failures = [];
    try {
      const response = await node.fetch(`http://node${HEALTH_PATH}`, {
        method: 'POST',
        body: JSON.stringify({ epoch, since, changes, failures: told }),
        signal: AbortSignal.timeout(TIMEOUT),
      });
      // A node without a health checker: every isolate for itself.
      if (response.status === 404) return true;
      if (response.status !== 200) throw new Error(`answered ${response.status}`);
      const answer = parseHealthAnswer(await response.json());
      epoch = answer.epoch;
      since = answer.version;
      for (const directory of new Set([balancers, ...all])) {
        for (const verdict of answer.verdicts) applyVerdict(directory, verdict);
      }
      return true;
    } catch (error) {
      // This isolate goes on with what it saw itself, and tells it with the next exchange.
      pending = [...changes, ...pending];
      failures = [...told, ...failures].slice(-MAX_FAILURES);
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
      const late = now - askedAt >= (near || checksHealth(upstream.health) ? INTERVAL : FAR_INTERVAL);
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
