import { parseRecordPage, type RecordPage } from '../../shared/cluster/records.ts';
import { mustBeRecord, type Row } from '../../shared/record.ts';
import type { RedisServer } from '../redis/client.ts';
import { number, text } from './message-fields.ts';

/**
 * What isolates ask the node's keepers of shared state (`NodeState`) over `env.NODE`; JSON both ways:
 *
 *     POST /state/counters/<shard>       CounterQuestion; an answer for each window, in order
 *     POST /state/cluster_counters/<shard>     CounterQuestion; the same
 *     POST /state/redis/<name of the server>   RedisQuestion; the same
 *     POST /state/records/<collection>   RecordQuestion; RecordAnswer
 *     POST /state/responses              ResponseQuestion; `PurgeNews`, `{entry}` or `{}`
 *     GET  /state/responses?key=<key>    a packed `StoredResponse`, or 404
 *     PUT  /state/responses              takes one; 204
 *     POST /state/metrics                MetricsQuestion; `{}`, or MetricsAnswer
 *     POST /state/telemetry              `{does: 'add', samples}`: `null`; `{does: 'show'}`: TelemetryStanding (`telemetry/keeper.ts`)
 *     POST /state/sums/<colo>            `{does: 'add', keeper, samples}`, `{does: 'show'}`: see `ColoSums`
 *     POST /state/outbox                 OutboxQuestion (`outbox-messages.ts`); OutboxAnswer
 *     POST /state/cluster                SharedQuestion; RecordAnswer, or `{position}` (and `untold` where that was asked)
 */
export const STATE_PATH = '/state/';

/** The keeper of what is counted for Prometheus. */
export const METRICS = 'metrics';

/** The keeper of what is counted for control planes. */
export const TELEMETRY = 'telemetry';

/** Keepers that gather for these two what the isolates of a data center count, one for each. */
export const COLO_SUMS = 'sums';

/** By family and labels: what is added to a counter, or to each bucket of a histogram and, at the end, to its sum. */
export type Samples = Readonly<Record<string, readonly (readonly [labels: string, numbers: readonly number[]])[]>>;

export type MetricsQuestion =
  | { readonly does: 'add'; readonly samples: Samples }
  /** All of them. */
  | { readonly does: 'show' };

export interface MetricsAnswer {
  readonly samples: Samples;
  /** Samples that were left out, since there were too many label sets. */
  readonly dropped: number;
}

/** Throws a `TypeError` for what is none. */
export function parseSamples(value: unknown): Samples {
  const read = mustBeRecord(value, 'samples');
  return Object.fromEntries(
    Object.entries(read).map(([family, all]) => [
      family,
      listOf(all, 'samples').map((item) => {
        const [labels, numbers] = listOf(item, 'a sample');
        if (typeof labels !== 'string') throw new TypeError('the labels of a sample must be a text');
        return [labels, listOf(numbers, 'numbers').map(Number)] as const;
      }),
    ]),
  );
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${what} must be a list`);
  return value;
}

/** The one keeper of what all data planes share. */
export const SHARED_PATH = `${STATE_PATH}cluster`;

/** By isolates, and (all but `record`) by the owner of the link. */
export type SharedQuestion =
  | { readonly ask: 'record'; readonly collection: string; readonly question: RecordQuestion }
  /** How far it knows what the control plane has, and how many changes that has not heard of. */
  | { readonly ask: 'position' }
  /** The control plane can be told. */
  | { readonly ask: 'linked' }
  /** What others did. */
  | { readonly ask: 'news'; readonly page: RecordPage };

/** Counters are spread over so many keepers. */
export const COUNTER_SHARDS = 16;

/** Those of all data planes over so many, each of which compares notes with the control plane. */
export const CLUSTER_COUNTER_SHARDS = 4;

/** A window as it travels. */
export interface CountedWindow {
  readonly key: string;
  readonly start: number;
  readonly length: number;
  readonly limit: number;
  /** What the isolate knows to be used, and by whom it was told; 0: by nobody. */
  readonly used: number;
  readonly ledger: number;
}

export interface CounterQuestion {
  /** Who asks: how many there are decides how much each gets at once. */
  readonly isolate: string;
  /** `lease`: `amount` or more for the isolate to spend; `one`: no more than that; `add`: counts it, room or not; `look`: nothing. */
  readonly does: 'lease' | 'one' | 'add' | 'look';
  readonly amount: number;
  readonly windows: readonly CountedWindow[];
}

export interface CounterAnswer {
  /** What the isolate may spend; 0 in all windows where one has no room for the amount. */
  readonly granted: number;
  /** What has been counted or granted in all. */
  readonly used: number;
  /** Whether there was room for the amount. */
  readonly room: boolean;
  /** Milliseconds since the epoch when this ledger began to count: it is another one after a restart. */
  readonly ledger: number;
}

/** About counters that are in a Redis. */
export interface RedisQuestion extends CounterQuestion {
  readonly server: RedisServer;
  /** Seconds between two comparisons of what the node counted with what is there; null: each request is counted there. */
  readonly syncRate: number | null;
}

/** `ttl` in seconds; 0: until it is deleted. */
export type RecordQuestion =
  | { readonly does: 'get' | 'take' | 'delete'; readonly key: string }
  | {
      readonly does: 'put' | 'add';
      readonly key: string;
      readonly value: unknown;
      readonly ttl: number;
      /** Members of the value that only the control plane gets. */
      readonly secrets?: Readonly<Row>;
    };

export interface RecordAnswer {
  /** Of `get` and `take`; null: there is none. */
  readonly value?: unknown;
  /** Of `add`: whether nothing was there. */
  readonly added?: boolean;
}

/** Copies of answers and their purges have one keeper. */
export const RESPONSES = 'responses';

/** `purge` is the Admin API's, `invalidate` a request's; `show` is what a purge by that key would make void. */
export type ResponseQuestion =
  | { readonly does: 'news'; readonly epoch: string | null; readonly since: number }
  | { readonly does: 'invalidate'; readonly target: string }
  | { readonly does: 'purge'; readonly of: 'plugin' | 'key'; readonly name: string }
  | { readonly does: 'show'; readonly key: string; readonly plugin: string | null };

const QUESTIONS = ['lease', 'one', 'add', 'look'] as const;

/** Throws a `TypeError` for what is none. */
export function parseCounterQuestion(value: unknown): CounterQuestion {
  const read = mustBeRecord(value, 'the question');
  const does = QUESTIONS.find((one) => one === read.does);
  if (does === undefined || !Array.isArray(read.windows)) throw new TypeError('no question about counters');
  return {
    isolate: text(read, 'isolate'),
    does,
    amount: number(read, 'amount'),
    windows: read.windows.map((item: unknown) => {
      const window = mustBeRecord(item, 'a window');
      return {
        key: text(window, 'key'),
        start: number(window, 'start'),
        length: number(window, 'length'),
        limit: number(window, 'limit'),
        used: number(window, 'used'),
        ledger: number(window, 'ledger'),
      };
    }),
  };
}

/** Throws a `TypeError` for what is none. */
export function parseRedisQuestion(value: unknown): RedisQuestion {
  const read = mustBeRecord(value, 'the question');
  const server = mustBeRecord(read.server, 'the server');
  const tls = server.tls === null ? null : mustBeRecord(server.tls, 'tls');
  return {
    ...parseCounterQuestion(value),
    server: {
      host: text(server, 'host'),
      port: number(server, 'port'),
      timeout: number(server, 'timeout'),
      username: server.username === null ? null : text(server, 'username'),
      password: server.password === null ? null : text(server, 'password'),
      database: number(server, 'database'),
      tls: tls && {
        verify: tls.verify !== false,
        serverName: tls.serverName === null ? null : text(tls, 'serverName'),
      },
    },
    syncRate: read.syncRate === null ? null : number(read, 'syncRate'),
  };
}

export function parseCounterAnswers(value: unknown, count: number): readonly CounterAnswer[] {
  if (!Array.isArray(value) || value.length !== count) throw new TypeError(`expected ${count} counts`);
  return value.map((item: unknown) => {
    const read = mustBeRecord(item, 'a count');
    const [granted, used, ledger] = [number(read, 'granted'), number(read, 'used'), number(read, 'ledger')];
    return { granted, used, room: read.room === true, ledger };
  });
}

export function parseRecordQuestion(value: unknown): RecordQuestion {
  const read = mustBeRecord(value, 'the question');
  const key = text(read, 'key');
  switch (read.does) {
    case 'get':
    case 'take':
    case 'delete':
      return { does: read.does, key };
    case 'put':
    case 'add':
      return {
        does: read.does,
        key,
        value: read.value,
        ttl: number(read, 'ttl'),
        ...(read.secrets === undefined ? {} : { secrets: mustBeRecord(read.secrets, 'secrets') }),
      };
    default:
      throw new TypeError('no question about records');
  }
}

/** Throws a `TypeError` for what is none. */
export function parseResponseQuestion(value: unknown): ResponseQuestion {
  const read = mustBeRecord(value, 'the question');
  switch (read.does) {
    case 'news':
      return { does: 'news', epoch: typeof read.epoch === 'string' ? read.epoch : null, since: number(read, 'since') };
    case 'invalidate':
      return { does: 'invalidate', target: text(read, 'target') };
    case 'purge': {
      const of = PURGED.find((one) => one === read.of);
      if (of === undefined) throw new TypeError('no kind of purge');
      return { does: 'purge', of, name: text(read, 'name') };
    }
    case 'show':
      return { does: 'show', key: text(read, 'key'), plugin: typeof read.plugin === 'string' ? read.plugin : null };
    default:
      throw new TypeError('no question about responses');
  }
}

const PURGED = ['plugin', 'key'] as const;

export function parseSharedQuestion(value: unknown): SharedQuestion {
  const read = mustBeRecord(value, 'the question');
  switch (read.ask) {
    case 'record':
      return { ask: 'record', collection: text(read, 'collection'), question: parseRecordQuestion(read.question) };
    case 'position':
    case 'linked':
      return { ask: read.ask };
    case 'news':
      return { ask: 'news', page: parseRecordPage(read.page, 'page') };
    default:
      throw new TypeError('no question about what is shared');
  }
}
