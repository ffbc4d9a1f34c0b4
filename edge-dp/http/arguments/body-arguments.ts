import { formArguments } from './form.ts';
import { jsonArguments } from './json.ts';
import { multipartArguments } from './multipart.ts';

/** A request body's named arguments, as `kong.request.get_body` reads them: form, multipart or a JSON object. */
export interface BodyArguments {
  /** Texts under that name, `true` for one that has none; more than one when it is repeated, or a JSON array or object. */
  values(name: string): readonly (string | true)[];
  /** The body with that name cut out, every other byte as it was. */
  without(name: string): Uint8Array;
}

/** Null for a type that has no named arguments and for a body that is not what its type says. */
export function parseBodyArguments(contentType: string | null, body: Uint8Array): BodyArguments | null {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  try {
    switch (type) {
      case 'application/x-www-form-urlencoded':
        return formArguments(body);
      case 'application/json':
        return jsonArguments(body);
      case 'multipart/form-data':
        return multipartArguments(contentType ?? '', body);
      default:
        return null;
    }
  } catch {
    return null;
  }
}
