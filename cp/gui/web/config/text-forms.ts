import type { Row } from '../../../../shared/record.ts';

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

/** A decK file of a row, the last one, and of those that it refers to: without times, and null members left out. */
export function deckDocument(rows: readonly EntityRow[]): Row {
  const document: Record<string, unknown[] | string> = { _format_version: '3.0' };
  for (const [at, { entity, row }] of rows.entries()) {
    const { created_at: _, updated_at: __, ws_id: ___, snis, ...rest } = row;
    const names = entity !== 'certificates' || !Array.isArray(snis) ? snis : snis.map((name) => ({ name }));
    // A server name stands beside the certificate it refers to.
    const isOwn = entity !== 'certificates' || at === rows.length - 1;
    const written = withoutNulls(isOwn ? { ...rest, snis: names ?? null } : rest);
    const before = document[entity];
    document[entity] = [...(Array.isArray(before) ? before : []), written];
  }
  return document;
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([, inside]) => inside !== null);
  return Object.fromEntries(members.map(([name, inside]) => [name, withoutNulls(inside)]));
}
