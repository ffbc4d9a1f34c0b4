import { TargetHealth } from './target-health.ts';

/** Milliseconds after which a connection that was never reported closed no longer counts: its request is long gone. */
const LEASE = 10 * 60_000;

/** Milliseconds in which the weight of an old response time falls to 1/e. */
const DECAY = 10_000;

/** What is known of an address beyond config. Lives on when config changes, as long as the address is a target. */
export class AddressState {
  readonly health = new TargetHealth();
  /** Milliseconds since the epoch of the last success that set the counters of `health` back to zero. */
  successAt = 0;
  /** Open connections by when they began, oldest first. */
  readonly #connections = new Set<{ readonly since: number }>();
  #ewma: number | null = null;
  #ewmaAt = 0;

  /** Counts a connection until the returned function is called. */
  connect(now: number): () => void {
    const connection = { since: now };
    this.#connections.add(connection);
    return () => this.#connections.delete(connection);
  }

  connections(now: number): number {
    for (const connection of this.#connections) {
      if (now - connection.since < LEASE) break;
      this.#connections.delete(connection);
    }
    return this.#connections.size;
  }

  /** Moving average of the response time in milliseconds, fading while nothing is measured; null: never measured. */
  latency(now: number): number | null {
    return this.#ewma === null ? null : this.#ewma * Math.exp(-Math.max(0, now - this.#ewmaAt) / DECAY);
  }

  measured(milliseconds: number, now: number): void {
    const weight = this.#ewma === null ? 0 : Math.exp(-Math.max(0, now - this.#ewmaAt) / DECAY);
    this.#ewma = (this.#ewma ?? 0) * weight + milliseconds * (1 - weight);
    this.#ewmaAt = now;
  }

  /** Starts a newcomer at the others' average, so that it is not flooded for looking fast. */
  startAt(milliseconds: number, now: number): void {
    if (this.#ewma !== null) return;
    this.#ewma = milliseconds;
    this.#ewmaAt = now;
  }
}

/** One address of a target, with the state that outlives it: a name may lead to several, or to none. */
export interface Address {
  /** Of the target's row. */
  readonly id: string;
  /** The target as configured. */
  readonly target: string;
  /** The target's host as configured: an address, or a name. */
  readonly name: string;
  /** What it leads to; the name itself where only the runtime resolves names. IPv6 in brackets. */
  readonly ip: string;
  /** What is connected to: `ip`, or the name where that comes to the same. */
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  /** For the Host header and TLS. */
  readonly hostname: string;
  /** Names this address within the upstream. */
  readonly key: string;
  readonly state: AddressState;
}

/** What an algorithm may choose from. */
type Eligible = (address: Address) => boolean;

/** How one upstream's requests are spread; made for a list of addresses with weights above zero. */
export interface Picker {
  /** Null when nothing is eligible. `key`: what to hash, for the algorithm that does. */
  pick(eligible: Eligible, key: string, now: number): Address | null;
}
