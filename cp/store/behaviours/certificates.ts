import type { Row } from '../../../shared/record.ts';
import { schemaViolation } from '../../../shared/schema/errors.ts';
import type { Session } from '../database.ts';
import type { Behaviour, Write } from './behaviour.ts';

/**
 * `snis` of a certificate are rows of their own. Given, the list replaces them; PUT without it removes them all, since PUT
 * says everything about a certificate; PATCH without it, and rows loaded in bulk, leave them alone.
 */
export const certificates: Behaviour = {
  async beforeWrite(row, write) {
    const names = namesToKeep(write);
    if (names === undefined || names.length === 0) return row;
    const [taken] = await write.session.query(
      `SELECT name, certificate_id FROM snis WHERE lower(name) = ANY ($1::text[]) AND certificate_id <> $2::uuid ORDER BY name`,
      [names.map(lowered), String(row.id)],
    );
    if (taken === undefined) return row;
    throw schemaViolation({
      snis: `${taken.name} already associated with existing certificate '${taken.certificate_id}'`,
    });
  },

  async afterWrite(stored, write) {
    const names = namesToKeep(write);
    if (names !== undefined) {
      const id = String(stored.id);
      await write.session.query(
        'DELETE FROM snis WHERE certificate_id = $1::uuid AND lower(name) <> ALL ($2::text[])',
        [id, names.map(lowered)],
      );
      const present = new Set((await namesOf([id], write.session)).get(id)?.map(lowered));
      const fresh = names.filter((name) => !present.has(lowered(name)));
      await write.workspace.entity('snis').insertMany(fresh.map((name) => ({ name, certificate: { id } })));
    }
    const [shown] = await withNames([stored], write.session);
    return shown ?? stored;
  },

  afterRead: withNames,

  async beforeDelete(id, { session, workspace }) {
    await session.query('DELETE FROM snis WHERE certificate_id = $1::uuid AND ws_id = $2::uuid', [id, workspace.id]);
  },
};

const lowered = (name: string): string => name.toLowerCase();

/** The names the certificate is to have, sorted; undefined when the write says nothing about them. */
function namesToKeep({ input, operation, bulk }: Write): string[] | undefined {
  const { snis } = input;
  if (snis === undefined) return operation === 'upsert' && !bulk ? [] : undefined;
  return Array.isArray(snis) ? snis.filter((name) => typeof name === 'string').sort() : [];
}

async function withNames(rows: readonly Row[], session: Session): Promise<Row[]> {
  const names = await namesOf(
    rows.map((row) => String(row.id)),
    session,
  );
  return rows.map((row) => ({ ...row, snis: names.get(String(row.id)) ?? [] }));
}

/** SNI names by certificate id, sorted. */
async function namesOf(ids: readonly string[], session: Session): Promise<Map<string, string[]>> {
  const rows = await session.query(
    {
      name: 'snis_of_certificates',
      text: 'SELECT certificate_id, name FROM snis WHERE certificate_id = ANY ($1::uuid[]) ORDER BY name COLLATE "C"',
    },
    [ids],
  );
  const names = new Map<string, string[]>();
  for (const row of rows) {
    const id = String(row.certificate_id);
    names.set(id, [...(names.get(id) ?? []), String(row.name)]);
  }
  return names;
}
