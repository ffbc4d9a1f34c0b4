import { messageOf } from '../../shared/thrown.ts';
import {
  DNS_ORDER,
  type DnsOrder,
  type Lookup,
  type NamedAddress,
  RETRY,
  type RecordType,
  resolveName,
  textOf,
} from './name-resolution.ts';

/** What is known of a name. */
interface KnownName {
  /** Those of the last lookup that succeeded; empty when none ever has. */
  readonly addresses: readonly NamedAddress[];
  readonly type: RecordType | null;
  /** The runtime's own resolver finds the same addresses. */
  readonly system: boolean;
  /** Why the last lookup failed; null when it did not. */
  readonly error: string | null;
  /** Milliseconds since the epoch: of the last lookup, and when it is to be looked up again. */
  readonly askedAt: number;
  readonly due: number;
}

/** Milliseconds a lookup may take before another is tried: the request that began it may be gone, and it with it. */
const ABANDONED = 10_000;
/** Milliseconds a request waits for a name it is the first to need: a server that is silent about SRV may still know an A. */
const FIRST_PATIENCE = 6_000;
/** Milliseconds a request waits for news of a name nobody has asked for in `STALE` milliseconds. */
const STALE_PATIENCE = 100;
const STALE = 10_000;
/** Milliseconds after which a name that nobody refreshes any more is forgotten. */
const FORGOTTEN = 3_600_000;
/** Lookups at a time. */
const LANES = 16;

/**
 * The names of targets and where they lead, for one isolate. Requests read what is here; lookups are made in the background
 * when a TTL has run out, and the last good addresses stay while they fail.
 */
export class NameTable {
  readonly #lookup: Lookup;
  readonly #order: DnsOrder;
  readonly #clock: () => number;
  readonly #names = new Map<string, KnownName>();
  readonly #askedAt = new Map<string, number>();
  #version = 0;

  constructor(lookup: Lookup, order: DnsOrder = DNS_ORDER, clock: () => number = Date.now) {
    this.#lookup = lookup;
    this.#order = order;
    this.#clock = clock;
  }

  /** Another number whenever a name leads elsewhere. */
  get version(): number {
    return this.#version;
  }

  get(name: string): KnownName | undefined {
    return this.#names.get(name);
  }

  /** Refreshes what is due in the background; a promise to wait for (a bounded time) where nothing recent is known. */
  use(names: readonly string[], waitUntil: (work: Promise<unknown>) => void): Promise<unknown> | null {
    const now = this.#clock();
    let due = false;
    let patience = 0;
    for (const name of names) {
      const known = this.#names.get(name);
      if (known !== undefined && dueOf(known, now) > now) continue;
      due = true;
      if (known === undefined) patience = FIRST_PATIENCE;
      else if (now - known.due > STALE) patience = Math.max(patience, STALE_PATIENCE);
    }
    if (!due) return null;
    const work = this.refresh(names);
    waitUntil(work);
    return patience === 0 ? null : Promise.race([work, after(patience)]);
  }

  /** Looks up the names that are due. Never rejects. Gives when the next one is due, in milliseconds since the epoch. */
  async refresh(names: Iterable<string>): Promise<number | null> {
    const now = this.#clock();
    const all = [...new Set(names)];
    const queue = all.filter((name) => this.#isDue(name, now));
    const lane = async (): Promise<void> => {
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) await this.#ask(name);
    };
    await Promise.all(Array.from({ length: Math.min(LANES, queue.length) }, lane));
    for (const [name, { due }] of this.#names) if (now - due > FORGOTTEN) this.#forget(name);
    const dues = all.map((name) => this.#dueAt(name, now) ?? now + RETRY * 1000);
    return dues.length === 0 ? null : dues.reduce((a, b) => Math.min(a, b));
  }

  /** A name of which nothing is known is asked for by everyone who needs it: nobody can wait for another's request. */
  #isDue(name: string, now: number): boolean {
    const at = this.#dueAt(name, now);
    return at === null || at <= now;
  }

  /** Null where nothing is known. A lookup under way puts the next one off. */
  #dueAt(name: string, now: number): number | null {
    const known = this.#names.get(name);
    if (known === undefined) return null;
    const askedAt = this.#askedAt.get(name);
    const due = dueOf(known, now);
    return askedAt === undefined || askedAt > now ? due : Math.max(due, askedAt + ABANDONED);
  }

  async #ask(name: string): Promise<void> {
    this.#askedAt.set(name, this.#clock());
    const last = this.#names.get(name)?.type ?? null;
    const found = await resolveName(name, this.#lookup, last, this.#order).catch(
      (error: unknown) => ({ status: 'failed', reason: messageOf(error), retry: RETRY }) as const,
    );
    this.#askedAt.delete(name);
    const before = this.#names.get(name);
    const now = this.#clock();
    if (found.status === 'failed') {
      const { addresses = [], type = null, system = false } = before ?? {};
      const due = now + found.retry * 1000;
      if (before?.error !== found.reason) console.warn(`target ${name}: ${found.reason}`);
      this.#names.set(name, { addresses, type, system, error: found.reason, askedAt: now, due });
      return;
    }
    const { addresses, type, system, ttl } = found;
    this.#names.set(name, { addresses, type, system, error: null, askedAt: now, due: now + ttl * 1000 });
    if (before === undefined || before.system !== system || !same(before.addresses, addresses)) this.#version += 1;
  }

  #forget(name: string): void {
    this.#names.delete(name);
    this.#version += 1;
  }
}

/** Now, for one that was looked up before the clock was set back: its time may be days away. */
function dueOf({ askedAt, due }: KnownName, now: number): number {
  return askedAt > now ? now : due;
}

function same(a: readonly NamedAddress[], b: readonly NamedAddress[]): boolean {
  return a.map(textOf).join() === b.map(textOf).join();
}

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
