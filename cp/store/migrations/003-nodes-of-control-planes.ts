import type { Migration } from './migration.ts';

/** What every control plane has to know of a data plane that is connected to another one. */
export const nodesOfControlPlanes: Migration = {
  name: '003_nodes_of_control_planes',
  statements: [
    `ALTER TABLE nodes
       -- The control plane the node is connected to: the id of its process. Null: to none.
       ADD COLUMN control_plane uuid,
       -- What the node last said of its targets, by upstream.
       ADD COLUMN health jsonb NOT NULL DEFAULT '{}'`,
  ],
};
