import { TargetHealth } from './target-health.ts';

/** Milliseconds after which a connection that was never reported closed no longer counts: its request is long gone. */
const UNANSWERED = 10 * 60_000;
/** The same for one that was answered: WebSockets and streams last. */
const ANSWERED = 24 * 60 * 60_000;

/** Milliseconds in which the weight of an old response time falls to 1/e. */
const DECAY = 10_000;

/** What is known of an address beyond config. Lives on when config changes, as long as the address is a target. */
export class AddressState {
  readonly health = new TargetHealth();
  /** Milliseconds since the epoch of the last success that set the counters of `health` back to zero. */
  successAt = 0;
  /** Open connections, oldest first. */
  readonly #waiting = new Set<Since>();
  readonly #answered = new Set<Since>();
  #ewma: number | null = null;
  #ewmaAt = 0;

  /** Counts a connection until it is released. */
  connect(now: number): Connection {
    const connection = { since: now };
    this.#waiting.add(connection);
    return {
      answered: () => {
        if (this.#waiting.delete(connection)) this.#answered.add(connection);
      },
      release: () => {
        this.#waiting.delete(connection);
        this.#answered.delete(connection);
      },
    };
  }

  connections(now: number): number {
    forget(this.#waiting, now - UNANSWERED);
    forget(this.#answered, now - ANSWERED);
    return this.#waiting.size + this.#answered.size;
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

interface Since {
  readonly since: number;
}

/** A connection that counts. */
export interface Connection {
  /** A response has begun: from here on it may take its time. */
  answered(): void;
  /** It is over; more than once does no harm. */
  release(): void;
}

function forget(connections: Set<Since>, before: number): void {
  for (const connection of connections) {
    if (connection.since > before) break;
    connections.delete(connection);
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
