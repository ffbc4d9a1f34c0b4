import type { Migration } from './migration.ts';

/** The registry of data planes: what they are, what they hold, and when they were last heard of. Not config, so not logged. */
export const nodes: Migration = {
  name: '002_nodes',
  statements: [
    `CREATE TABLE nodes (
       id           uuid PRIMARY KEY,
       hostname     text NOT NULL,
       ip           text NOT NULL,
       version      text NOT NULL,
       config_hash  text,
       sync_status  text NOT NULL,
       last_seen    timestamptz NOT NULL,
       updated_at   timestamptz NOT NULL,
       expires_at   timestamptz NOT NULL,
       labels       jsonb NOT NULL,
       cert_details jsonb NOT NULL,
       -- What the node applied last, and why it refused what came after.
       serial       bigint,
       reason       text,
       -- The rest of what it said of itself in its hello.
       description  jsonb NOT NULL
     )`,
    `CREATE INDEX nodes_expires ON nodes (expires_at)`,
  ],
};
