import { messageOf } from '../../shared/thrown.ts';
import { secretPart } from '../../shared/vault-reference.ts';
import type { SecretStore } from './secret-store.ts';
import type { SecretSource } from './sources.ts';

/** What a reference came to. The same object as long as it is the same value. */
export type Secret =
  | { readonly value: string; readonly missing: null }
  /** Why there is none, for the log. */
  | { readonly value: null; readonly missing: string };

interface Kept {
  readonly secret: Secret;
  /** Milliseconds since the epoch; when it is to be read again. */
  readonly due: number;
  /** When a value that cannot be read any more ceases to be good. */
  readonly end: number;
}

/** Seconds until a secret that is not there is looked for again, unless the vault says otherwise: Kong's rotation interval. */
const RETRY = 60;

/** The secrets of a node as they were read last, each for as long as its vault says. */
export class SecretValues {
  readonly #store: SecretStore;
  readonly #kept = new Map<string, Kept>();

  constructor(store: SecretStore) {
    this.#store = store;
  }

  get size(): number {
    return this.#kept.size;
  }

  get(source: SecretSource): Secret {
    return this.#kept.get(source.key)?.secret ?? UNREAD;
  }

  /** When the secret is to be read again: milliseconds since the epoch. */
  due(source: SecretSource): number {
    return this.#kept.get(source.key)?.due ?? 0;
  }

  /** Reads them now. What cannot be read stays what it was, for as long as its vault says. Never throws. */
  async read(sources: Iterable<SecretSource>): Promise<void> {
    const byKey = new Map<string, SecretSource>();
    for (const source of sources) byKey.set(source.key, source);
    if (byKey.size === 0) return;
    const names = new Set([...byKey.values()].map(({ variable }) => variable));
    let found: ReadonlyMap<string, string> | string;
    try {
      found = await this.#store.read([...names]);
    } catch (error) {
      found = `the node's secrets cannot be read: ${messageOf(error)}`;
    }
    const now = Date.now();
    for (const source of byKey.values()) this.#keep(source, secretOf(source, found), now);
  }

  /** Forgets what no source of these stands for. */
  keepOnly(sources: Iterable<SecretSource>): void {
    const used = new Set([...sources].map(({ key }) => key));
    for (const key of this.#kept.keys()) if (!used.has(key)) this.#kept.delete(key);
  }

  clear(): void {
    this.#kept.clear();
  }

  #keep({ key, ttl, negTtl, resurrectTtl }: SecretSource, read: Secret, now: number): void {
    const before = this.#kept.get(key);
    const retry = now + (negTtl || RETRY) * 1000;
    if (read.value !== null) {
      const due = ttl === 0 ? Number.POSITIVE_INFINITY : now + ttl * 1000;
      const secret = before?.secret.value === read.value ? before.secret : read;
      this.#kept.set(key, { secret, due, end: now + (ttl + resurrectTtl) * 1000 });
    } else if (before !== undefined && before.secret.value !== null && now < before.end) {
      this.#kept.set(key, { ...before, due: Math.min(retry, before.end) });
    } else {
      const secret = before?.secret.missing === read.missing ? before.secret : read;
      this.#kept.set(key, { secret, due: retry, end: 0 });
    }
  }
}

const UNREAD: Secret = { value: null, missing: 'it has not been read' };

function secretOf({ variable, part }: SecretSource, found: ReadonlyMap<string, string> | string): Secret {
  if (typeof found === 'string') return { value: null, missing: found };
  const whole = found.get(variable);
  if (whole === undefined) return { value: null, missing: `this node has no variable ${variable}` };
  const read = secretPart(whole, part);
  return 'value' in read
    ? { value: read.value, missing: null }
    : { value: null, missing: `${variable}: ${read.problem}` };
}
