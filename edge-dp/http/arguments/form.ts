import { concatBytes } from '../../../shared/bytes.ts';
import type { BodyArguments } from './body-arguments.ts';
import { decodeForm } from './percent.ts';

/** Kong looks at the first 100 fields only (`lua_max_post_args`). */
const MAX_FIELDS = 100;

/** The fields of an `application/x-www-form-urlencoded` body. */
export function formArguments(body: Uint8Array): BodyArguments {
  return {
    values(name) {
      const values: (string | true)[] = [];
      for (const field of fieldsOf(body).slice(0, MAX_FIELDS)) {
        if (nameOf(field) === name) values.push(contentOf(field));
      }
      return values;
    },
    without(name) {
      const kept = fieldsOf(body).filter((field) => nameOf(field) !== name);
      return concatBytes(kept.flatMap((field, place) => (place === 0 ? [field] : [AMPERSAND, field])));
    },
  };
}

function fieldsOf(body: Uint8Array): Uint8Array[] {
  const fields: Uint8Array[] = [];
  for (let start = 0; start <= body.length; ) {
    const found = body.indexOf(0x26, start);
    const end = found < 0 ? body.length : found;
    fields.push(body.subarray(start, end));
    start = end + 1;
  }
  return fields;
}

function nameOf(field: Uint8Array): string {
  const equals = field.indexOf(EQUALS);
  return decodeForm(equals < 0 ? field : field.subarray(0, equals));
}

/** `true` for one without `=`, as in Kong. */
function contentOf(field: Uint8Array): string | true {
  const equals = field.indexOf(EQUALS);
  return equals < 0 ? true : decodeForm(field.subarray(equals + 1));
}

const EQUALS = 0x3d;
const AMPERSAND = new Uint8Array([0x26]);
