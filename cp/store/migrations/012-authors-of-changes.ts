import type { Migration } from './migration.ts';

/** Who made a change, as the transaction that made it says. */
export const authorsOfChanges: Migration = {
  name: '012_authors_of_changes',
  statements: [
    // Null: nobody said, as a statement by hand does not.
    'ALTER TABLE change_sets ADD COLUMN author jsonb',
    `CREATE OR REPLACE FUNCTION current_change_set() RETURNS bigint LANGUAGE plpgsql AS $$
     DECLARE
       known text := current_setting('holdfast.change_set', true);
       fresh bigint;
     BEGIN
       IF known <> '' THEN
         RETURN known::bigint;
       END IF;
       fresh := nextval('change_set_ids');
       INSERT INTO change_sets (id, author) VALUES (fresh, nullif(current_setting('holdfast.author', true), '')::jsonb);
       PERFORM set_config('holdfast.change_set', fresh::text, true);
       RETURN fresh;
     END $$`,
  ],
};
