import type { Migration } from './migration.ts';

/** A release that some data planes have for a part of their requests is signed anew with every ring, under a serial of its own. */
export const releaseParts: Migration = {
  name: '011_release_parts',
  statements: [
    // The serial it began with, by which telemetry tells its requests; null: that of before, which it kept.
    'ALTER TABLE releases ADD COLUMN began bigint',
  ],
};
