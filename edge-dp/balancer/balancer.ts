import type { UpstreamFailure } from '../proxy/egress/egress.ts';
import type { Peer } from '../proxy/upstream-request.ts';
import { type Address, AddressState, type Picker } from './address.ts';
import { consistentHashing } from './consistent-hashing.ts';
import type { BalancedUpstream } from './directory.ts';
import { latency, welcomeNewcomers } from './latency.ts';
import { leastConnections } from './least-connections.ts';
import type { PeerPicker } from './peers.ts';
import { untilEnd } from './response-end.ts';
import { roundRobin } from './round-robin.ts';
import { type Observation, observationOf } from './target-health.ts';
import { checksHealth, type Target, type Upstream } from './upstream.ts';

/** Told whenever requests have made a target of this isolate available or unavailable. */
export type HealthListener = (upstream: Upstream, address: Address, healthy: boolean) => void;

/** One upstream with its targets. What it learned of a target lives on in the next version of it. */
export class Balancer implements BalancedUpstream {
  readonly upstream: Upstream;
  readonly addresses: readonly Address[];
  readonly #picker: Picker;
  readonly #totalWeight: number;

  constructor(upstream: Upstream, targets: readonly Target[], before: Balancer | null, now: number) {
    this.upstream = upstream;
    const known = new Map(before?.addresses.map((address) => [`${address.host}:${address.port}`, address]));
    this.addresses = targets.map((target) => {
      const state = known.get(`${target.host}:${target.port}`)?.state ?? new AddressState();
      return {
        id: target.id,
        target: target.target,
        host: target.host,
        port: target.port,
        weight: target.weight,
        state,
      };
    });
    const weighted = this.addresses.filter(({ weight }) => weight > 0);
    this.#totalWeight = weighted.reduce((sum, { weight }) => sum + weight, 0);
    if (upstream.algorithm === 'latency') welcomeNewcomers(weighted, now);
    this.#picker = before?.sharesPickerWith(upstream, this.addresses)
      ? before.#picker
      : pickerOf(upstream, weighted, this.addresses.length);
  }

  get usable(): boolean {
    if (this.#totalWeight === 0) return false;
    let available = 0;
    for (const { weight, state } of this.addresses) if (state.health.available) available += weight;
    return (available / this.#totalWeight) * 100 > this.upstream.health.threshold;
  }

  peers(request: {
    readonly key: string;
    readonly waitUntil: (work: Promise<unknown>) => void;
    readonly changed: HealthListener;
  }): PeerPicker {
    const { upstream } = this;
    const failed = new Set<AddressState>();
    let attempt: Attempt | null = null;
    const finish = (observation: Observation | null): void => {
      attempt?.release();
      if (attempt !== null && observation !== null && checksHealth(upstream.health)) {
        const { address } = attempt;
        if (address.state.health.observe(observation, upstream.health.passive))
          request.changed(upstream, address, address.state.health.available);
      }
      attempt = null;
    };
    return {
      several: this.addresses.length > 1,
      clientCertificate: upstream.clientCertificate,
      next: () => {
        const now = Date.now();
        const address = this.#choose(failed, request.key, now);
        if (address === null) return null;
        attempt = { address, startedAt: now, release: address.state.connect(now) };
        return peerOf(upstream, address);
      },
      answered: (response, via) => {
        if (attempt === null) return response;
        const { address, startedAt, release } = attempt;
        const now = Date.now();
        address.state.measured(now - startedAt, now);
        attempt = { ...attempt, release: () => undefined };
        finish(observationOf(response.status, upstream.health.passive));
        if (upstream.algorithm === 'least-connections') return untilEnd(response, via, request.waitUntil, release);
        release();
        return response;
      },
      failed: (failure, last) => {
        if (attempt !== null) failed.add(attempt.address.state);
        finish(blame(failure, last, upstream));
      },
    };
  }

  /** An address that has not failed this request yet while there is one, else any that is available. */
  #choose(failed: ReadonlySet<AddressState>, key: string, now: number): Address | null {
    if (!this.usable) return null;
    const available = ({ weight, state }: Address): boolean => weight > 0 && state.health.available;
    const fresh = this.#picker.pick((address) => available(address) && !failed.has(address.state), key, now);
    return fresh ?? (failed.size > 0 ? this.#picker.pick(available, key, now) : null);
  }

  /** Whether this balancer's picker spreads over exactly these addresses in the same way. */
  private sharesPickerWith(upstream: Upstream, addresses: readonly Address[]): boolean {
    return (
      this.upstream.algorithm === upstream.algorithm &&
      this.upstream.slots === upstream.slots &&
      this.addresses.length === addresses.length &&
      this.addresses.every((old, i) => old.state === addresses[i]?.state && old.weight === addresses[i]?.weight)
    );
  }
}

interface Attempt {
  readonly address: Address;
  readonly startedAt: number;
  readonly release: () => void;
}

function pickerOf(upstream: Upstream, weighted: readonly Address[], targets: number): Picker {
  // Isolates begin at different places, or they would all send their first requests to the same target.
  const start = Math.floor(Math.random() * 65_536);
  switch (upstream.algorithm) {
    case 'round-robin':
      return roundRobin(weighted, start);
    case 'consistent-hashing':
      return consistentHashing(weighted, upstream.slots, targets);
    case 'least-connections':
      return leastConnections(weighted, start);
    case 'latency':
      return latency(weighted);
  }
}

function peerOf(upstream: Upstream, { host, port }: Address): Peer {
  return { host, port, hostname: upstream.hostHeader ?? host };
}

/**
 * What a failed attempt says of its target, in Kong's way: timeouts are timeouts; other failures count as TCP failures
 * while another attempt follows, and by the 502 the client gets when none does.
 */
function blame(failure: UpstreamFailure, last: boolean, upstream: Upstream): Observation | null {
  switch (failure.code) {
    case 'unsupported':
    case 'client_closed':
    case 'bad_request':
    case 'unauthorized':
    case 'unknown_identity':
      return null;
    case 'connect_timeout':
    case 'read_timeout':
    case 'write_timeout':
      return 'timeout';
    default:
      return last ? observationOf(502, upstream.health.passive) : 'tcp';
  }
}
