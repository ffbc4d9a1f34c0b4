import type { Migration } from './migration.ts';

/** What the cluster says of its signing keys, for all control planes and data planes: see `shared/bundle/key-statement.ts`. */
export const signingKeys: Migration = {
  name: '007_signing_keys',
  statements: [
    `CREATE TABLE signing_key_statements (
       -- Whoever is first with a number has made that change.
       number    bigint PRIMARY KEY,
       statement text NOT NULL,
       -- The key's private half under that of the key before it (\`cp/keys/sealing.ts\`); NULL: brought by hand.
       sealed    jsonb
     )`,
  ],
};
