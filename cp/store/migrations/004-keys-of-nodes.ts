import type { Migration } from './migration.ts';

/** To whom the id of a data plane belongs. */
export const keysOfNodes: Migration = {
  name: '004_keys_of_nodes',
  statements: [
    `ALTER TABLE nodes
       -- The public half of the key pair the node made itself: Ed25519, base64url. Null: a version that makes none.
       ADD COLUMN node_key text,
       -- SHA-256 of the public key of its certificate, base64url. Null: in cluster_mtls = shared it is everybody's.
       ADD COLUMN certificate_key text,
       -- Who said last, in vain, that it was this node.
       ADD COLUMN refused_claim jsonb`,
    `CREATE INDEX nodes_certificate_key ON nodes (certificate_key)`,
  ],
};
