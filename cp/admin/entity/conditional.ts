import type { Row } from '../../../shared/record.ts';
import { rowTag } from '../../store/row-tag.ts';
import type { WriteOptions } from '../../store/store.ts';
import { ok, type Reply } from '../reply.ts';
import type { Call } from '../route.ts';

/** A row with its entity tag, by which a later write can say what it is a change of. */
export const tagged = (row: Row): Reply => ok(row, { ETag: rowTag(row) });

/** What `If-Match` of a write asks for (RFC 9110, 13.1.1): tags one of which the row must have, or that there is a row (`*`). */
export function expectation({ header }: Call): WriteOptions {
  const given = header('if-match')?.trim();
  if (given === undefined) return {};
  // Weak tags never match.
  return {
    expected:
      given === '*'
        ? '*'
        : [...given.matchAll(/(W\/)?("[^"]*")/g)].flatMap(([, weak, tag = '']) => (weak === undefined ? [tag] : [])),
  };
}
