import type { Migration } from './migration.ts';

/**
 * What data planes share: small values with an end, by collection and key. Every change gets a number at COMMIT, under the
 * same lock as the serial of the config, so that who reads "everything after number n" misses nothing. Rows of entities that
 * data planes make too (`records` in the schema) stand in their own tables; a trigger on those keeps a record for each field
 * that such a row is found by, with digests in the place of what clients show.
 */
export const sharedRecords: Migration = {
  name: '005_shared_records',
  statements: [
    `ALTER TABLE config_serial
       -- The number of the newest change of a shared record.
       ADD COLUMN records bigint NOT NULL DEFAULT 0,
       -- Deletions up to this number may have been forgotten.
       ADD COLUMN records_floor bigint NOT NULL DEFAULT 0,
       -- Another one once the numbers no longer are what they were: in a database that was restored.
       ADD COLUMN records_log uuid NOT NULL DEFAULT gen_random_uuid()`,
    `CREATE TABLE shared_records (
       collection text NOT NULL,
       key        text NOT NULL,
       -- Null: deleted, which data planes have to hear of.
       value      jsonb,
       expires_at timestamptz,
       -- The data plane it came from; null: the Admin API.
       node       uuid,
       -- Null until the commit.
       number     bigint,
       changed_at timestamptz NOT NULL DEFAULT now(),
       PRIMARY KEY (collection, key)
     )`,
    `CREATE INDEX shared_records_number ON shared_records (number)`,
    `CREATE INDEX shared_records_expires ON shared_records (expires_at) WHERE expires_at IS NOT NULL`,
    `CREATE INDEX shared_records_node ON shared_records (node)`,
    `CREATE INDEX shared_records_deleted ON shared_records (changed_at) WHERE value IS NULL`,
    `CREATE FUNCTION number_shared_record() RETURNS trigger LANGUAGE plpgsql AS $$
     DECLARE
       next bigint;
     BEGIN
       UPDATE config_serial SET records = records + 1 RETURNING records INTO next;
       UPDATE shared_records SET number = next WHERE collection = NEW.collection AND key = NEW.key;
       PERFORM pg_notify('holdfast_records', '');
       RETURN NULL;
     END $$`,
    `CREATE CONSTRAINT TRIGGER number_shared_record AFTER INSERT OR UPDATE ON shared_records
       DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.number IS NULL) EXECUTE FUNCTION number_shared_record()`,
    `CREATE FUNCTION put_shared_record(its_collection text, its_key text, its_value jsonb, its_end timestamptz)
     RETURNS void LANGUAGE sql AS $$
       INSERT INTO shared_records (collection, key, value, expires_at, node)
       VALUES (its_collection, its_key, its_value, its_end, nullif(current_setting('holdfast.node', true), '')::uuid)
       ON CONFLICT (collection, key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at,
         node = EXCLUDED.node, number = NULL, changed_at = now()
     $$`,
    // The arguments are the fields a row is found by.
    `CREATE FUNCTION share_row() RETURNS trigger LANGUAGE plpgsql AS $$
     DECLARE
       before jsonb := '{}';
       after  jsonb := '{}';
       shared jsonb;
       ends   timestamptz;
       field  text;
       known  text;
     BEGIN
       IF TG_OP <> 'INSERT' THEN
         before := to_jsonb(OLD);
         ends := OLD.expires_at;
       END IF;
       IF TG_OP <> 'DELETE' THEN
         after := to_jsonb(NEW);
         ends := NEW.expires_at;
       END IF;
       shared := after;
       FOREACH field IN ARRAY TG_ARGV LOOP
         known := after ->> field;
         IF known IS NOT NULL THEN
           shared := jsonb_set(shared, ARRAY[field], to_jsonb(encode(sha256(convert_to(known, 'UTF8')), 'hex')));
         END IF;
       END LOOP;
       FOREACH field IN ARRAY TG_ARGV LOOP
         known := before ->> field;
         IF known IS NOT NULL AND known IS DISTINCT FROM after ->> field THEN
           known := encode(sha256(convert_to(known, 'UTF8')), 'hex');
           IF ends <= now() THEN
             -- Its end is known wherever it is.
             DELETE FROM shared_records WHERE collection = TG_TABLE_NAME || '.' || field AND key = known;
           ELSE
             PERFORM put_shared_record(TG_TABLE_NAME || '.' || field, known, NULL, ends);
           END IF;
         END IF;
         IF after ->> field IS NOT NULL THEN
           PERFORM put_shared_record(TG_TABLE_NAME || '.' || field, shared ->> field, shared, ends);
         END IF;
       END LOOP;
       RETURN NULL;
     END $$`,
    // Where tokens were part of the config, they no longer are.
    `DROP TRIGGER IF EXISTS log_create ON oauth2_tokens`,
    `DROP TRIGGER IF EXISTS log_update ON oauth2_tokens`,
    `DROP TRIGGER IF EXISTS log_delete ON oauth2_tokens`,
  ],
};
