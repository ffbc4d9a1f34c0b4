import type { Migration } from './migration.ts';

/**
 * The change log, kept by the database itself: statement triggers on the entity tables (added with the tables) write
 * down every row that changes, cascades and hand-written SQL included, and a deferred trigger gives the whole
 * transaction its serial at COMMIT. `config_serial` is one row, so its lock puts commits in the order of their
 * serials, and a transaction that fails takes its number back: no gaps, no reordering. The lock is taken last and held
 * for the commit alone.
 */
export const changeLog: Migration = {
  name: '001_change_log',
  statements: [
    `CREATE TABLE config_serial (
       single    boolean PRIMARY KEY DEFAULT true CHECK (single),
       serial    bigint NOT NULL DEFAULT 0,
       -- The log holds every change with a serial above this one.
       log_floor bigint NOT NULL DEFAULT 0
     )`,
    `INSERT INTO config_serial DEFAULT VALUES`,
    // One per transaction that changed something. The id is known from its first change on, the serial from its commit on.
    `CREATE SEQUENCE change_set_ids`,
    `CREATE TABLE change_sets (
       id           bigint PRIMARY KEY,
       serial       bigint UNIQUE,
       committed_at timestamptz NOT NULL DEFAULT now()
     )`,
    `CREATE TABLE changes (
       position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       change_set bigint NOT NULL,
       entity     text NOT NULL,
       id         text NOT NULL,
       operation  text NOT NULL
     )`,
    `CREATE INDEX changes_change_set ON changes (change_set)`,
    // The running transaction's change set. A setting local to the transaction remembers it, and forgets it together with
    // the rows when a savepoint is rolled back.
    `CREATE FUNCTION current_change_set() RETURNS bigint LANGUAGE plpgsql AS $$
     DECLARE
       known text := current_setting('holdfast.change_set', true);
       fresh bigint;
     BEGIN
       IF known <> '' THEN
         RETURN known::bigint;
       END IF;
       fresh := nextval('change_set_ids');
       INSERT INTO change_sets (id) VALUES (fresh);
       PERFORM set_config('holdfast.change_set', fresh::text, true);
       RETURN fresh;
     END $$`,
    `CREATE FUNCTION log_changes() RETURNS trigger LANGUAGE plpgsql AS $$
     DECLARE
       mine bigint;
     BEGIN
       IF EXISTS (SELECT FROM changed) THEN
         mine := current_change_set();
         INSERT INTO changes (change_set, entity, id, operation)
           SELECT mine, TG_TABLE_NAME, changed.id::text, TG_ARGV[0] FROM changed;
       END IF;
       RETURN NULL;
     END $$`,
    `CREATE FUNCTION assign_serial() RETURNS trigger LANGUAGE plpgsql AS $$
     DECLARE
       next bigint;
     BEGIN
       UPDATE config_serial SET serial = serial + 1 RETURNING serial INTO next;
       UPDATE change_sets SET serial = next, committed_at = clock_timestamp() WHERE id = NEW.id;
       PERFORM pg_notify('holdfast_changes', next::text);
       RETURN NULL;
     END $$`,
    `CREATE CONSTRAINT TRIGGER assign_serial AFTER INSERT ON change_sets
       DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION assign_serial()`,
  ],
};
