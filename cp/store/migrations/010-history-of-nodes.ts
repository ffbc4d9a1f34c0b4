import type { Migration } from './migration.ts';

/** What became of config at each data plane. */
export const historyOfNodes: Migration = {
  name: '010_history_of_nodes',
  statements: [
    `ALTER TABLE nodes
       -- What it applied, refused or was not given lately, the newest first: see docs/operations.md.
       ADD COLUMN history jsonb NOT NULL DEFAULT '[]'`,
  ],
};
