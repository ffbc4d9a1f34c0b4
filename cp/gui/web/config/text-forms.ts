import { isRecord, type Row } from '../../../../shared/record.ts';

/** A text as one word of a POSIX shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A curl command that makes a request of the Admin API. */
export function curlOf(method: string, url: string, body: Readonly<Row>): string {
  return [
    `curl -X ${method} ${quoted(url)}`,
    `-H 'content-type: application/json'`,
    `-d ${quoted(JSON.stringify(body))}`,
  ].join(' \\\n  ');
}

/** A row, and the entity it is of. */
export interface EntityRow {
  readonly entity: string;
  readonly row: Readonly<Row>;
}

/** Kinds that no declarative file has. */
export const NOT_IN_FILES: ReadonlySet<string> = new Set(['groups', 'workspaces']);

/** What decK reads as a part of another row alone, and the reference to that. */
const PARTS: Readonly<Record<string, string>> = {
  acls: 'consumer',
  basicauth_credentials: 'consumer',
  hmacauth_credentials: 'consumer',
  jwt_secrets: 'consumer',
  keyauth_credentials: 'consumer',
  oauth2_credentials: 'consumer',
  snis: 'certificate',
  targets: 'upstream',
};

/** A decK file of a row, the last one, and of those that it refers to: without times, and null members left out. */
export function deckDocument(rows: readonly EntityRow[]): Row {
  const document: Record<string, unknown[] | string> = { _format_version: '3.0' };
  const written = new Map<unknown, Record<string, unknown>>();
  for (const [at, { entity, row }] of rows.entries()) {
    const { created_at: _, updated_at: __, ws_id: ___, ...rest } = row;
    const snis = at === rows.length - 1 ? namesOf(row.snis) : null;
    const text = withoutNulls(entity === 'certificates' ? { ...rest, snis } : rest);
    // decK compares it with what there is as it stands.
    if (entity === 'vaults') text.config = row.config;
    written.set(row.id, text);
    const { [PARTS[entity] ?? '']: reference } = row;
    const whole = isRecord(reference) ? written.get(reference.id) : undefined;
    if (whole !== undefined) delete text[PARTS[entity] ?? ''];
    const within = whole ?? document;
    const before = within[entity];
    within[entity] = [...(Array.isArray(before) ? before : []), text];
  }
  return document;
}

/** Server names as a certificate in a file has them. */
function namesOf(snis: unknown): readonly object[] | null {
  return Array.isArray(snis) ? snis.map((name) => ({ name })) : null;
}

function withoutNulls(value: Readonly<Row>): Record<string, unknown> {
  const members = Object.entries(value).filter(([, inside]) => inside !== null);
  return Object.fromEntries(members.map(([name, inside]) => [name, nullsOutOf(inside)]));
}

function nullsOutOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(nullsOutOf);
  return isRecord(value) ? withoutNulls(value) : value;
}
