import { concatBytes, findBytes, startsAt } from '../../../shared/bytes.ts';
import { parametersOf } from '../parameters.ts';
import type { BodyArguments } from './body-arguments.ts';

/** The parts of a `multipart/form-data` body (RFC 7578, RFC 2046 section 5.1); null for what is none. Files have no values. */
export function multipartArguments(contentType: string, body: Uint8Array): BodyArguments | null {
  const form = readMultipart(contentType, body);
  if (form === null) return null;
  const { parts, end } = form;
  return {
    values: (name) => parts.flatMap((part) => (part.name === name && part.value !== null ? [part.value] : [])),
    without(name) {
      const preamble = body.subarray(0, parts[0]?.start ?? end);
      const kept = parts.filter((part) => part.name !== name).map((part) => body.subarray(part.start, part.end));
      return concatBytes([preamble, ...kept, body.subarray(end)]);
    },
  };
}

/** The texts of all parts by name, files among them as in Kong; null for what is no such body. */
export function multipartValues(contentType: string, body: Uint8Array): ReadonlyMap<string, readonly string[]> | null {
  const form = readMultipart(contentType, body);
  if (form === null) return null;
  const values = new Map<string, string[]>();
  for (const { name, value, content } of form.parts) {
    if (name === null) continue;
    const text = value ?? UTF8.decode(content);
    const before = values.get(name);
    if (before === undefined) values.set(name, [text]);
    else before.push(text);
  }
  return values;
}

/** What stands between the delimiters of such a body. */
export interface MultipartForm {
  readonly parts: readonly MultipartPart[];
  /** The place of the closing delimiter. */
  readonly end: number;
}

export interface MultipartPart {
  /** From its delimiter up to the next. */
  readonly start: number;
  readonly end: number;
  readonly name: string | null;
  /** Null: a file. */
  readonly value: string | null;
  /** What stands behind its header fields. */
  readonly content: Uint8Array;
}

/** Null where the type names none. */
export function boundaryOf(contentType: string): string | null {
  const boundary = parametersOf(contentType).get('boundary');
  return boundary === undefined || boundary === '' ? null : boundary;
}

/** Null for what is no such body. */
export function readMultipart(contentType: string, body: Uint8Array): MultipartForm | null {
  const boundary = boundaryOf(contentType);
  return boundary === null ? null : parse(body, boundary);
}

function parse(body: Uint8Array, boundary: string): MultipartForm | null {
  const delimiter = TEXT.encode(`\r\n--${boundary}`);
  const parts: MultipartPart[] = [];
  let open: { readonly start: number; readonly content: number } | null = null;
  // The first may stand at the very start, without the line end that belongs to the others.
  let found = startsAt(body, delimiter.subarray(2), 0) ? -2 : findBytes(body, delimiter, 0);
  for (; found !== -1; found = findBytes(body, delimiter, found + 2)) {
    const at = found + 2;
    let behind = found + delimiter.length;
    const closes = startsAt(body, DASHES, behind);
    if (closes) behind += 2;
    while (body[behind] === 0x20 || body[behind] === 0x09) behind++;
    if (!startsAt(body, CRLF, behind) && !(closes && behind === body.length)) continue;
    if (open !== null) {
      const part = readPart(body.subarray(open.content, found));
      if (part === null) return null;
      parts.push({ start: open.start, end: at, ...part });
    }
    if (closes) return { parts, end: at };
    open = { start: at, content: behind + 2 };
  }
  return null;
}

function readPart(bytes: Uint8Array): Pick<MultipartPart, 'name' | 'value' | 'content'> | null {
  // Without fields the empty line is the first.
  const bare = startsAt(bytes, CRLF, 0);
  const end = bare ? 0 : findBytes(bytes, EMPTY_LINE, 0);
  if (end < 0) return null;
  const fields = UTF8.decode(bytes.subarray(0, end)).replace(/\r\n[ \t]+/g, ' ');
  const disposition = /(?:^|\r\n)content-disposition:[ \t]*(form-data[^\r]*)/i.exec(fields)?.[1];
  const parameters = parametersOf(disposition ?? '');
  const name = parameters.get('name');
  const content = bytes.subarray(bare ? 2 : end + 4);
  return {
    name: name === undefined ? null : unescapeName(name),
    value: parameters.has('filename') ? null : UTF8.decode(content),
    content,
  };
}

/** As browsers escape what ends a quoted name (WHATWG HTML, multipart form data). */
function unescapeName(name: string): string {
  return name.replace(/%0A/gi, '\n').replace(/%0D/gi, '\r').replace(/%22/g, '"');
}

const TEXT = new TextEncoder();
const UTF8 = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
const CRLF = TEXT.encode('\r\n');
const EMPTY_LINE = TEXT.encode('\r\n\r\n');
const DASHES = TEXT.encode('--');
