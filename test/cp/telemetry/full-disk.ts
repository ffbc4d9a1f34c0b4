import type { openDatabase } from '../../../cp/store/open.ts';

/** From then on the database has no room for telemetry, as on a disk that is full (SQLSTATE 53100), while there is a service named `full`. */
export async function makeFullable(database: Awaited<ReturnType<typeof openDatabase>>): Promise<void> {
  await database.query(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF EXISTS (SELECT FROM services WHERE name = 'full') THEN
        RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100';
      END IF;
      RETURN NULL;
    END $$`);
  await database.query(
    'CREATE TRIGGER full_disk BEFORE INSERT ON telemetry FOR EACH STATEMENT EXECUTE FUNCTION full_disk()',
  );
}
