import { createHash } from 'node:crypto';
import type { Row } from '../../shared/record.ts';

/** What a row is as it is shown, as a strong entity tag (RFC 9110, 8.8.3). Seconds until it vanishes are no part of it. */
export function rowTag({ ttl: _, ...row }: Row): string {
  return `"${createHash('sha256').update(JSON.stringify(row)).digest('base64url').slice(0, 27)}"`;
}

/** A row is not what who writes it has taken it for. */
export class RowChanged extends Error {
  override readonly name = 'RowChanged';
  constructor() {
    super('the row is not, or is no longer, what If-Match says: read it again, and decide anew');
  }
}
