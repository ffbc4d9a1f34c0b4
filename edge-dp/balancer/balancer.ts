import type { UpstreamFailure } from '../proxy/egress/egress.ts';
import type { Peer } from '../proxy/upstream-request.ts';
import type { Address, AddressState, Connection } from './address.ts';
import type { BalancedUpstream, TargetDns } from './directory.ts';
import { isAddress } from './name-resolution.ts';
import type { NameTable } from './name-table.ts';
import type { PeerPicker } from './peers.ts';
import { nameOf, remembers, type Spread, spreadOf } from './spread.ts';
import { type Observation, observationOf, thresholdOf } from './target-health.ts';
import { checksHealth, type Target, type Upstream } from './upstream.ts';

/** Told what the requests of this isolate learn of targets. */
interface HealthListener {
  /** They have made one available or unavailable. */
  changed(upstream: Upstream, address: Address, healthy: boolean): void;
  /** One of them failed, which alone is not enough. */
  failed(upstream: Upstream, address: Address, kind: Exclude<Observation, 'success'>): void;
}

/** One upstream with its targets. What it learned of a target lives on in the next version of it. */
export class Balancer implements BalancedUpstream {
  readonly upstream: Upstream;
  readonly targets: readonly Target[];
  /** What its targets must be looked up by. */
  readonly names: readonly string[];
  readonly #table: NameTable | null;
  #spread: Spread;

  constructor(
    upstream: Upstream,
    targets: readonly Target[],
    before: Balancer | null,
    table: NameTable | null,
    now: number,
  ) {
    this.upstream = upstream;
    this.targets = targets;
    this.names = [...new Set(targets.flatMap((target) => nameOf(target, table) ?? []))];
    this.#table = table;
    this.#spread = spreadOf(upstream, targets, table, before === null ? null : before.#spread, now);
  }

  get addresses(): readonly Address[] {
    return this.#current.addresses;
  }

  get usable(): boolean {
    const { addresses, totalWeight } = this.#current;
    if (totalWeight === 0) return false;
    let available = 0;
    for (const { weight, state } of addresses) if (state.health.available) available += weight;
    return (available / totalWeight) * 100 > this.upstream.health.threshold;
  }

  dnsOf(target: Target): TargetDns {
    if (isAddress(target.host)) return { type: target.host.includes(':') ? 'AAAA' : 'A', failed: false };
    const known = this.#table?.get(target.host);
    if (known === undefined) return { type: null, failed: false };
    return { type: known.type, failed: known.error !== null && known.addresses.length === 0 };
  }

  /** Why a name of its targets leads nowhere; null: it leads somewhere, or nobody has heard of it yet. */
  problemOf(name: string): string | null {
    const known = this.#table?.get(name);
    return known === undefined || known.addresses.length > 0 ? null : known.error;
  }

  remembers(key: string): boolean {
    return remembers(this.#current, key, Date.now());
  }

  /** Keeps names fresh in the background; a promise where the first answer is worth waiting for. */
  resolve(waitUntil: (work: Promise<unknown>) => void): Promise<unknown> | null {
    return this.#table === null || this.names.length === 0 ? null : this.#table.use(this.names, waitUntil);
  }

  peers(request: {
    readonly key: string;
    readonly onLeave: (listener: () => void) => void;
    /** Null: what becomes of the request says nothing of the targets. */
    readonly health: HealthListener | null;
  }): PeerPicker {
    const { upstream } = this;
    const failed = new Set<AddressState>();
    const followed = upstream.algorithm === 'least-connections';
    let attempt: Attempt | null = null;
    let connection: Connection | null = null;
    // Nothing else of the request may run then.
    if (followed) request.onLeave(() => connection?.release());
    const finish = (observation: Observation | null): void => {
      const { health } = request;
      if (health !== null && attempt !== null && observation !== null && checksHealth(upstream.health)) {
        learn(upstream, attempt.address, observation, health);
      }
      attempt = null;
    };
    const succeeded = (observation: Observation | null, onEnd: (listener: () => void) => void): void => {
      if (attempt === null) return;
      const { address, startedAt } = attempt;
      const now = Date.now();
      address.state.measured(now - startedAt, now);
      finish(observation);
      const open = connection;
      if (open === null) return;
      open.answered();
      onEnd(() => open.release());
    };
    return {
      several: this.addresses.length > 1,
      refusal: this.refusal,
      clientCertificate: upstream.clientCertificate,
      followed,
      next: () => {
        const now = Date.now();
        const address = this.#choose(failed, request.key, now);
        if (address === null) return null;
        attempt = { address, startedAt: now };
        if (followed) connection = address.state.connect(now);
        return peerOf(upstream, address);
      },
      answered: (response) =>
        succeeded(observationOf(response.status, upstream.health.passive), (over) => response.onEnd(over)),
      connected: (onEnd) => succeeded('success', onEnd),
      failed: (failure, last) => {
        if (attempt !== null) failed.add(attempt.address.state);
        connection?.release();
        finish(blame(failure, last, upstream));
      },
    };
  }

  /** With consistent-hashing, which takes no turns: the address that a request with this key goes to. */
  addressOf(key: string): Address | null {
    return this.#choose(NONE, key, Date.now());
  }

  /** An address that has not failed this request yet while there is one, else any that is available. */
  #choose(failed: ReadonlySet<AddressState>, key: string, now: number): Address | null {
    if (!this.usable) return null;
    const available = ({ weight, state }: Address): boolean => weight > 0 && state.health.available;
    const { picker } = this.#current;
    const fresh = picker.pick((address) => available(address) && !failed.has(address.state), key, now);
    return fresh ?? (failed.size > 0 ? picker.pick(available, key, now) : null);
  }

  /** What a request hears that finds no address, in Kong's words. */
  get refusal(): string {
    return this.names.length > 0 && this.#current.addresses.length === 0
      ? 'name resolution failed'
      : 'failure to get a peer from the ring-balancer';
  }

  /** The spread, made anew when a name of its targets may lead elsewhere. */
  get #current(): Spread {
    const { upstream, targets } = this;
    if (this.#table !== null && this.names.length > 0 && this.#spread.version !== this.#table.version)
      this.#spread = spreadOf(upstream, targets, this.#table, this.#spread, Date.now());
    return this.#spread;
  }
}

const NONE: ReadonlySet<AddressState> = new Set();

interface Attempt {
  readonly address: Address;
  readonly startedAt: number;
}

function learn(upstream: Upstream, address: Address, observation: Observation, listener: HealthListener): void {
  const { state } = address;
  const { passive } = upstream.health;
  if (observation === 'success' && passive.successes > 0) state.successAt = Date.now();
  if (state.health.observe(observation, passive)) listener.changed(upstream, address, state.health.available);
  else if (observation !== 'success' && state.health.available && thresholdOf(observation, passive) > 0)
    listener.failed(upstream, address, observation);
}

function peerOf(upstream: Upstream, { host, port, hostname }: Address): Peer {
  return { host, port, hostname: upstream.hostHeader ?? hostname };
}

/**
 * What a failed attempt says of its target, in Kong's way: timeouts are timeouts; other failures count as TCP failures
 * while another attempt follows, and by the 502 the client gets when none does.
 */
function blame(failure: UpstreamFailure, last: boolean, upstream: Upstream): Observation | null {
  if (failure.unproven === true) return null;
  switch (failure.code) {
    case 'unsupported':
    case 'client_closed':
    case 'client_timeout':
    case 'client_too_large':
    case 'client_left':
    case 'bad_request':
    case 'unauthorized':
    case 'unknown_identity':
    case 'exhausted':
      return null;
    case 'connect_timeout':
    case 'read_timeout':
    case 'write_timeout':
      return 'timeout';
    default:
      return last ? observationOf(502, upstream.health.passive) : 'tcp';
  }
}
