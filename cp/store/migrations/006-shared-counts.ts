import type { Migration } from './migration.ts';

/** What data planes count together, each in rows of its own. Not worth keeping over a crash of the server. */
export const sharedCounts: Migration = {
  name: '006_shared_counts',
  statements: [
    `CREATE UNLOGGED TABLE shared_counts (
       -- Half a SHA-256 of what is counted in which window.
       counted    text NOT NULL,
       -- Who counted: another one once a data plane has been started again.
       ledger     uuid NOT NULL,
       node       uuid NOT NULL,
       used       bigint NOT NULL,
       expires_at timestamptz NOT NULL,
       PRIMARY KEY (counted, ledger)
     )`,
    `CREATE INDEX shared_counts_expires ON shared_counts (expires_at)`,
    `CREATE INDEX shared_counts_node ON shared_counts (node)`,
  ],
};
