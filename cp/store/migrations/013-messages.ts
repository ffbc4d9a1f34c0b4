import type { Migration } from './migration.ts';

/** What control planes tell each other, kept for those that a notification did not reach. */
export const messages: Migration = {
  name: '013_messages',
  statements: [
    `CREATE TABLE control_plane_messages (
       id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       sent_at timestamptz NOT NULL DEFAULT now(),
       message text NOT NULL
     )`,
  ],
};
