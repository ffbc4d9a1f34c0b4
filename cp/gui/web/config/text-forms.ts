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

/** What a decK file has of a row: no times, and references as they are. Null members are left out. */
export function deckDocument(entity: string, row: Readonly<Row>): Row {
  const { created_at: _, updated_at: __, ws_id: ___, ...rest } = row;
  return { _format_version: '3.0', [entity]: [withoutNulls(rest)] };
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([, inside]) => inside !== null);
  return Object.fromEntries(members.map(([name, inside]) => [name, withoutNulls(inside)]));
}
