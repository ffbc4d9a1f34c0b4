/** A media type or range (RFC 9110 section 8.3.1): type and subtype in lower case, `*` for any. */
export interface MediaType {
  readonly type: string;
  readonly subtype: string;
  /** Names in lower case, values as they are. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Null for what is none, down to a semicolon without a parameter. */
export function parseMediaType(text: string): MediaType | null {
  const [, type, subtype = '*', rest = ''] = MEDIA_TYPE.exec(text) ?? [];
  if (type === undefined || (subtype === '*' && !text.includes('/') && type !== '*')) return null;
  const parameters = new Map<string, string>();
  for (const [, name = '', quoted, token = ''] of rest.matchAll(PARAMETER))
    parameters.set(name.toLowerCase(), quoted ?? token);
  return { type: type.toLowerCase(), subtype: subtype.toLowerCase(), parameters };
}

/** Whether a type is within a range, with exactly its parameters. */
export function withinRange(type: MediaType, range: MediaType): boolean {
  if (range.type !== '*' && range.type !== type.type) return false;
  if (range.subtype !== '*' && range.subtype !== type.subtype) return false;
  if (range.parameters.size !== type.parameters.size) return false;
  for (const [name, value] of range.parameters) if (type.parameters.get(name) !== value) return false;
  return true;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const ONE_PARAMETER = `[ \\t]*;[ \\t]*(${TOKEN})=(?:"((?:\\\\.|[^"\\\\])*)"|(${TOKEN}))`;
const PARAMETER = new RegExp(ONE_PARAMETER, 'g');
const MEDIA_TYPE = new RegExp(`^(${TOKEN})(?:/(${TOKEN}))?((?:${ONE_PARAMETER})*)$`);
