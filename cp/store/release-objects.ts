import type { ObjectName, PackedObject } from '../../shared/bundle/format.ts';
import type { Session } from './database.ts';

/** Any number will do as long as nothing else on the database uses it. Whoever keeps or forgets objects holds it. */
export const RELEASE_LOCK = 0x72656c65;

/** Names asked about at a time. */
const NAMES = 1_000;
/** Objects written at a time. */
const OBJECTS = 20;

/** Has every one of these objects in the database. Throws when one is neither there nor at hand. */
export async function keepObjects(
  session: Session,
  names: readonly ObjectName[],
  objectOf: (name: ObjectName) => PackedObject | undefined,
): Promise<void> {
  for (let start = 0; start < names.length; start += NAMES) {
    const some = names.slice(start, start + NAMES);
    const known = await session.query('SELECT name FROM release_objects WHERE name = ANY ($1::text[])', [some]);
    const there = new Set(known.map(({ name }) => String(name)));
    const lacking = some.filter((name) => !there.has(name));
    for (let first = 0; first < lacking.length; first += OBJECTS) {
      const these = lacking.slice(first, first + OBJECTS);
      await session.query(
        `INSERT INTO release_objects (name, gzip) SELECT unnest($1::text[]), unnest($2::text[]) ON CONFLICT DO NOTHING`,
        [these, these.map((name) => textOf(name, objectOf(name)))],
      );
    }
  }
}

function textOf(name: ObjectName, object: PackedObject | undefined): string {
  if (object === undefined) throw new Error(`object ${name} of the release is no longer at hand: try again`);
  return Buffer.from(object.gzip).toString('base64');
}

/** Keeps these objects for as long as there is the release. */
export async function useObjects(session: Session, release: string, names: readonly ObjectName[]): Promise<void> {
  await session.query(
    `INSERT INTO release_uses (release, name) SELECT $1::uuid, unnest($2::text[]) ON CONFLICT DO NOTHING`,
    [release, names],
  );
}
