import { type Directives, parseCacheControl } from '../../http/cache-control.ts';
import type { HeaderFields } from '../../http/fields.ts';

/** What an origin says of keeping its answer. */
export interface OriginDirectives {
  readonly directives: Directives;
  /** Said to caches before it alone: Cache-Control and Expires are for others (RFC 9213 section 2.2). */
  readonly targeted: boolean;
}

/** Of CDN-Cache-Control where there is one that can be read, else of Cache-Control. */
export function originDirectives(headers: Pick<HeaderFields, 'get'>): OriginDirectives {
  const targeted = headers.get('cdn-cache-control');
  if (targeted !== null && DICTIONARY.test(targeted) && !NO_NUMBER.test(targeted))
    return { directives: parseCacheControl(targeted), targeted: true };
  return { directives: parseCacheControl(headers.get('cache-control')), targeted: false };
}

const KEY = '[a-z*][a-z0-9_\\-.*]*';
const ITEM = '(?:-?\\d+(?:\\.\\d+)?|"(?:[^"\\\\]|\\\\["\\\\])*"|[A-Za-z*][\\w!#$%&\'*+\\-.^`|~:/]*|\\?[01])';
const MEMBER = `${KEY}(?:=${ITEM})?(?:; *${KEY}(?:=${ITEM})?)*`;
/** A dictionary of structured fields (RFC 9651 section 3.2) that is not empty. */
const DICTIONARY = new RegExp(`^ *${MEMBER}(?:[ \\t]*,[ \\t]*${MEMBER})* *$`);
/** A lifetime of another type makes the field one that cannot be read. */
const NO_NUMBER = /max-?age=(?!\d)/;
