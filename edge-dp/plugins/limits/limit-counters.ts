import { messageOf } from '../../../shared/thrown.ts';
import type { RedisServer } from '../../redis/client.ts';
import type { Place } from '../runtime/plugin.ts';
import {
  type Counters,
  type Scope,
  ServiceError,
  type Services,
  type Usage,
  type Window,
} from '../runtime/services.ts';

interface Policy {
  readonly policy: string | null;
  readonly fault_tolerant: boolean;
  readonly redis: RedisConfig;
  /** Seconds; -1: each request is counted in Redis itself. */
  readonly sync_rate?: number;
}

interface RedisConfig {
  readonly host: string | null;
  readonly port: number | null;
  readonly timeout: number | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly database: number | null;
  readonly ssl: boolean | null;
  readonly ssl_verify: boolean | null;
  readonly server_name: string | null;
}

/** Milliseconds between two lines about counters that cannot be reached. */
const PAUSE = 10_000;

/**
 * The counters of one configuration: those of its policy, and what becomes of a request when they cannot be reached.
 * Null: it passes unlimited (`fault_tolerant`); otherwise the error is thrown on, and Kong's 500 answered.
 */
export class LimitCounters {
  readonly #counters: Counters;
  readonly #scope: Scope;
  readonly #tolerant: boolean;
  readonly #complain: (reason: string) => void;
  #complainedAt = Number.NEGATIVE_INFINITY;

  constructor(plugin: string, config: Policy, place: Place, services: Services) {
    const { policy, fault_tolerant, sync_rate = -1 } = config;
    this.#counters =
      policy === 'redis'
        ? services.redisCounters(serverOf(config.redis), sync_rate === -1 ? null : sync_rate)
        : services.counters;
    this.#scope = policy === 'cluster' ? 'cluster' : 'node';
    this.#tolerant = fault_tolerant;
    this.#complain = (reason) =>
      services.log('error', `${plugin} (${place.id}) lets requests pass unlimited: ${reason}`);
  }

  /** As `Counters.take`. */
  take(windows: readonly Window[], amount: number): Usages | Promise<Usages> {
    return this.#tolerating(() => this.#counters.take(windows, amount, this.#scope));
  }

  /** As `Counters.usage`. */
  usage(windows: readonly Window[]): Usages | Promise<Usages> {
    return this.#tolerating(() => this.#counters.usage(windows, this.#scope));
  }

  /** As `Counters.add`. */
  async add(windows: readonly Window[], amount: number): Promise<void> {
    await this.#counters.add(windows, amount, this.#scope);
  }

  #tolerating(ask: () => readonly Usage[] | Promise<readonly Usage[]>): Usages | Promise<Usages> {
    try {
      const usages = ask();
      return usages instanceof Promise ? usages.catch((error: unknown) => this.#tolerate(error)) : usages;
    } catch (error) {
      return this.#tolerate(error);
    }
  }

  #tolerate(error: unknown): null {
    if (!this.#tolerant || !(error instanceof ServiceError)) throw error;
    const now = Date.now();
    if (Math.abs(now - this.#complainedAt) >= PAUSE) {
      this.#complainedAt = now;
      this.#complain(messageOf(error));
    }
    return null;
  }
}

/** Null: nobody knows. */
type Usages = readonly Usage[] | null;

function serverOf({
  host,
  port,
  timeout,
  username,
  password,
  database,
  ssl,
  ssl_verify,
  server_name,
}: RedisConfig): RedisServer {
  return {
    host: host ?? '127.0.0.1',
    port: port ?? 6379,
    timeout: timeout ?? 2_000,
    username,
    password,
    database: database ?? 0,
    tls: ssl === true ? { verify: ssl_verify === true, serverName: server_name } : null,
  };
}
