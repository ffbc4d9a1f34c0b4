import type { Address } from './address.ts';
import type { UpstreamDirectory } from './directory.ts';
import { HEALTH_PATH, parseHealthAnswer } from './health-messages.ts';
import type { AddressVerdict } from './health-view.ts';
import { checksHealth, type Upstream } from './upstream.ts';

/** Milliseconds between an isolate's questions to the node's health checker while it balances requests. */
const INTERVAL = 1_000;
/** Milliseconds an answer may take. */
const TIMEOUT = 5_000;

type WaitUntil = (work: Promise<unknown>) => void;

/** Keeps one isolate's view of target health in step with the node's, off the path of requests. */
export interface HealthSync {
  /** A request is about to be balanced over this upstream. */
  touch(upstream: Upstream, balancers: UpstreamDirectory, waitUntil: WaitUntil): void;
  /** Requests of this isolate have made an address available or unavailable. */
  changed(upstream: Upstream, address: Address, healthy: boolean): void;
}

/** For request paths without a node around them. */
export const noHealthSync: HealthSync = { touch: () => undefined, changed: () => undefined };

/** Keeps in step with the health checker reached through `node`. */
export function createHealthSync(node: Pick<Fetcher, 'fetch'>): HealthSync {
  let pending: AddressVerdict[] = [];
  let epoch: string | null = null;
  let since = 0;
  let askedAt = 0;

  async function exchange(balancers: UpstreamDirectory): Promise<void> {
    const changes = pending;
    pending = [];
    try {
      const response = await node.fetch(`http://node${HEALTH_PATH}`, {
        method: 'POST',
        body: JSON.stringify({ epoch, since, changes }),
        signal: AbortSignal.timeout(TIMEOUT),
      });
      // A node without a health checker: every isolate for itself.
      if (response.status === 404) return;
      if (response.status !== 200) throw new Error(`answered ${response.status}`);
      const answer = parseHealthAnswer(await response.json());
      epoch = answer.epoch;
      since = answer.version;
      for (const verdict of answer.verdicts) applyVerdict(balancers, verdict);
    } catch (error) {
      // This isolate goes on with what it saw itself, and tells it with the next exchange.
      pending = [...changes, ...pending];
      console.warn(`health checker: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  return {
    touch(upstream, balancers, waitUntil) {
      const now = Date.now();
      if (pending.length === 0 && (now - askedAt < INTERVAL || !checksHealth(upstream.health))) return;
      askedAt = now;
      waitUntil(exchange(balancers));
    },
    changed(upstream, { key }, healthy) {
      pending.push({ upstream: upstream.id, address: key, healthy });
    },
  };
}

/** Takes over a verdict for an address that is still a target. */
export function applyVerdict(balancers: UpstreamDirectory, verdict: AddressVerdict): void {
  for (const { key, state } of balancers.byId(verdict.upstream)?.addresses ?? []) {
    if (key === verdict.address && state.health.available !== verdict.healthy) state.health.set(verdict.healthy);
  }
}
