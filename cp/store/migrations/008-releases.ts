import type { Migration } from './migration.ts';

/**
 * What groups with `publish = release` were given, are being given and will be, with the objects it takes. Of a group one
 * release is live, and one more may be on its way.
 */
export const releases: Migration = {
  name: '008_releases',
  statements: [
    `CREATE TABLE releases (
       id          uuid PRIMARY KEY,
       number      bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
       group_name  text NOT NULL,
       -- scheduled, rolling, paused, live, replaced, aborted: see docs/releases.md.
       state       text NOT NULL,
       reason      text,
       -- What its manifest is signed with.
       serial      bigint NOT NULL,
       -- Up to where the change log is in it.
       upto        bigint NOT NULL,
       -- Up to where whoever made it had read the change log.
       seen        bigint NOT NULL,
       config_hash text NOT NULL,
       -- Its manifest, but for the serial.
       manifest    jsonb NOT NULL,
       rings       jsonb NOT NULL,
       -- The ring it is at, from 0, and since when.
       ring        integer NOT NULL DEFAULT 0,
       since       timestamptz NOT NULL DEFAULT now(),
       -- When it begins; null: at once.
       at          timestamptz,
       rollback_to uuid,
       created_at  timestamptz NOT NULL DEFAULT now()
     )`,
    `CREATE UNIQUE INDEX releases_live ON releases (group_name) WHERE state = 'live'`,
    `CREATE UNIQUE INDEX releases_open ON releases (group_name) WHERE state IN ('scheduled', 'rolling', 'paused')`,
    `CREATE TABLE release_objects (
       name text PRIMARY KEY,
       gzip text NOT NULL
     )`,
    `CREATE TABLE release_uses (
       release uuid NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
       name    text NOT NULL REFERENCES release_objects (name),
       PRIMARY KEY (release, name)
     )`,
    `CREATE INDEX release_uses_name ON release_uses (name)`,
  ],
};
