import type { Migration } from './migration.ts';

/** What data planes tell of their traffic, in steps of seconds and of minutes, and all of it together since it began. */
export const telemetry: Migration = {
  name: '009_telemetry',
  statements: [
    `CREATE TABLE telemetry (
       -- Seconds of a step; 0: since it began, of all nodes.
       width        integer NOT NULL,
       -- When the step begins, in seconds since 1970.
       at           bigint NOT NULL,
       node         uuid NOT NULL,
       -- route, serial or consumer, and which one: see shared/telemetry/series.ts.
       dimension    text NOT NULL,
       subject      text NOT NULL,
       service      text NOT NULL,
       status       smallint NOT NULL,
       source       text NOT NULL,
       requests     bigint NOT NULL,
       -- By bucket, without the empty ones at the end, and milliseconds in all.
       request_ms   bigint[] NOT NULL,
       request_sum  bigint NOT NULL,
       upstream_ms  bigint[] NOT NULL,
       upstream_sum bigint NOT NULL,
       told_at      timestamptz NOT NULL DEFAULT now(),
       PRIMARY KEY (width, at, node, dimension, subject, service, status, source)
     ) WITH (fillfactor = 70)`,
    `CREATE TABLE telemetry_streams (
       node    uuid PRIMARY KEY,
       -- What numbers its batches, and the newest that is kept: each is counted once.
       stream  uuid NOT NULL,
       number  bigint NOT NULL,
       told_at timestamptz NOT NULL DEFAULT now()
     )`,
    `CREATE FUNCTION telemetry_sum(a bigint[], b bigint[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
       SELECT coalesce(array_agg(coalesce(x, 0) + coalesce(y, 0) ORDER BY place), '{}')
       FROM unnest(a, b) WITH ORDINALITY AS pairs (x, y, place) $$`,
  ],
};
