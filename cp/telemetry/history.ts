import type { Dimension, Latencies, Series, SeriesKey, Source, TelemetryBatch } from '../../shared/telemetry/series.ts';

/** Seconds of a step, and for how long what is told in such steps is kept. */
export const STEPS = [
  { name: 'seconds', width: 5, kept: 3_600 },
  { name: 'minutes', width: 60, kept: 7 * 86_400 },
] as const;

/** A batch, and how many seconds ago it ended. */
export interface AgedBatch {
  readonly batch: TelemetryBatch;
  readonly age: number;
}

/** What is told apart. */
export type Level = (typeof LEVELS)[number];

export const LEVELS = ['cluster', 'nodes', 'services', 'routes', 'consumers', 'serials', 'status_classes'] as const;

/** Which requests, and how they are told apart. Times in seconds since 1970. */
export interface HistoryQuery {
  readonly level: Level;
  readonly dimension: Dimension;
  /** One of `STEPS`. */
  readonly width: number;
  /** Of the answer: a multiple of `width`. */
  readonly step: number;
  readonly from: number;
  readonly until: number;
  /** Of these only; absent: of all. */
  readonly of: Partial<Pick<SeriesKey, 'subject' | 'service' | 'status' | 'source'>> & { readonly node?: string };
  /** Subjects, those with most requests. */
  readonly most: number;
}

/** What became of the requests of one subject in one step. */
export interface HistoryPoint {
  /** An id, a serial, or a class of statuses. */
  readonly subject: string;
  readonly at: number;
  /** By first digit of the status, and who answered. */
  readonly requests: readonly { readonly status: number; readonly source: Source; readonly count: number }[];
  readonly request: Latencies;
  readonly upstream: Latencies;
}

/** What became of some requests: how many, how many of them were answered 5xx, and how long they took. */
export interface Served {
  readonly requests: number;
  readonly failed: number;
  readonly latencies: Latencies;
}

/** What data planes served that have a release, and what others served that have the config before. */
export interface ServedSides {
  readonly ring: Served;
  readonly others: Served;
  /** All of them, with the config before, in the ten minutes before that time. */
  readonly before: Served;
}

/** What an id is called, and in which workspace; null: it is in none. */
export interface Named {
  readonly name: string;
  readonly workspace: string | null;
}

/** What data planes tell of their traffic, in the database, shared by all its control planes. */
export interface TelemetryHistory {
  /** Keeps batches, one of each node at most; those that are known already are passed over. All or none. Throws without a database. */
  keep(batches: readonly AgedBatch[]): Promise<void>;
  /** By subject and time. */
  read(query: HistoryQuery): Promise<readonly HistoryPoint[]>;
  /** All since it began, by route and by consumer, of all nodes; `most` at most, those with most requests. */
  totals(most: number): Promise<readonly Series[]>;
  /**
   * Sides of a release since a time, by the database's clock: `ring` has the config of `serial` or a later one, `others` an earlier
   * one, `split` both. Node ids.
   */
  sides(of: {
    readonly since: number;
    readonly serial: number;
    readonly ring: readonly string[];
    readonly split: readonly string[];
    readonly others: readonly string[];
  }): Promise<ServedSides>;
  /** What the ids are called: routes, services, consumers, nodes. Those that are unknown are absent. */
  names(ids: readonly string[]): Promise<ReadonlyMap<string, Named>>;
  /** By the database's clock, which all steps are by: seconds since 1970. */
  now(): Promise<number>;
}
