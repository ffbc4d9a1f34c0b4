import { concatBytes, startsAt } from '../../../shared/bytes.ts';
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
  /** The place of the closing delimiter; the end of the body where there is none. */
  readonly end: number;
  readonly closed: boolean;
  /** What its first delimiter ends with. */
  readonly lineEnd: '\r\n' | '\n';
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

/** Null where the type names none; found behind parameters that are none, too. */
export function boundaryOf(contentType: string): string | null {
  const [, quoted, token] = BOUNDARY.exec(contentType) ?? [];
  return parametersOf(contentType).get('boundary') || quoted || token || null;
}

const BOUNDARY = /;[ \t]*boundary=(?:"([^"]+)"|([^\s;"]+))/i;

/** Null for what is no such body. */
export function readMultipart(contentType: string, body: Uint8Array): MultipartForm | null {
  const boundary = boundaryOf(contentType);
  return boundary === null ? null : parse(body, boundary);
}

/**
 * As Kong and most servers do, line feeds alone are taken for line ends, and the end of the body for that of its last part: what they
 * read must not go unseen here.
 */
function parse(body: Uint8Array, boundary: string): MultipartForm | null {
  const delimiter = TEXT.encode(`--${boundary}`);
  const parts: MultipartPart[] = [];
  let lineEnd: MultipartForm['lineEnd'] | null = null;
  let open: { readonly start: number; readonly content: number } | null = null;
  // Line by line: a boundary may be long, and be begun anywhere in a line.
  for (let at = 0; at >= 0 && at < body.length; at = lineBehind(body, at)) {
    if (body[at] !== DASH || !startsAt(body, delimiter, at)) continue;
    let behind = at + delimiter.length;
    const closes = startsAt(body, DASHES, behind);
    if (closes) behind += 2;
    while (body[behind] === 0x20 || body[behind] === 0x09) behind++;
    const end = lineEndAt(body, behind);
    if (end === null && !(closes && behind === body.length)) continue;
    lineEnd ??= end ?? '\r\n';
    if (open !== null) {
      const before = body[at - 2] === CARRIAGE_RETURN ? at - 2 : at - 1;
      parts.push({ start: open.start, end: at, ...readPart(body.subarray(open.content, before)) });
    }
    if (closes) return { parts, end: at, closed: true, lineEnd };
    open = { start: at, content: behind + (end?.length ?? 0) };
  }
  if (open === null || lineEnd === null) return null;
  parts.push({ start: open.start, end: body.length, ...readPart(body.subarray(open.content)) });
  return { parts, end: body.length, closed: false, lineEnd };
}

/** The place of the line behind the one that is at a place; -1: there is none. */
function lineBehind(body: Uint8Array, at: number): number {
  const end = body.indexOf(LINE_FEED, at);
  return end < 0 ? -1 : end + 1;
}

function lineEndAt(body: Uint8Array, at: number): MultipartForm['lineEnd'] | null {
  if (body[at] === LINE_FEED) return '\n';
  return startsAt(body, CRLF, at) ? '\r\n' : null;
}

/** What is behind the last field of a part, and where its empty line ends: the content. Without one all of it are fields. */
export function fieldsEnd(bytes: Uint8Array): { readonly fields: number; readonly content: number } {
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) {
    const next = lineEndAt(bytes, at + 1);
    if (next !== null)
      return { fields: bytes[at - 1] === CARRIAGE_RETURN ? at - 1 : at, content: at + 1 + next.length };
  }
  return { fields: bytes.length, content: bytes.length };
}

function readPart(bytes: Uint8Array): Pick<MultipartPart, 'name' | 'value' | 'content'> {
  // Without fields the empty line is the first.
  const bare = lineEndAt(bytes, 0);
  const end = bare === null ? fieldsEnd(bytes) : { fields: 0, content: bare.length };
  const fields = UTF8.decode(bytes.subarray(0, end.fields)).replace(/\r?\n[ \t]+/g, ' ');
  // Of whatever type, as Kong and others take it.
  const disposition = /(?:^|\n)content-disposition[ \t]*:([^\r\n]*)/i.exec(fields)?.[1] ?? '';
  const parameters = parametersOf(disposition);
  const name = nameIn(disposition);
  const content = bytes.subarray(end.content);
  return {
    name: name === undefined ? null : unescapeName(name),
    value: parameters.has('filename') ? null : UTF8.decode(content),
    content,
  };
}

/** The last of several, as in Kong and PHP; also behind a parameter that is none. */
function nameIn(disposition: string): string | undefined {
  let name: string | undefined;
  const semicolon = disposition.indexOf(';');
  for (const [, quoted, token] of semicolon < 0 ? [] : disposition.slice(semicolon).matchAll(PARAMETER))
    name = quoted?.replace(/\\(["\\])/g, '$1') ?? token ?? name;
  return name;
}

/** What is between two semicolons that stand in no quotes, and the value of a name. */
const PARAMETER = /;[ \t]*(?:name=(?:"((?:\\.|[^"\\])*)"|([^;\s"]*))[^;"]*|(?:"(?:\\.|[^"\\])*"|[^;"]+)*)/giy;

/** As browsers escape what ends a quoted name (WHATWG HTML, multipart form data). */
function unescapeName(name: string): string {
  return name.replace(/%0A/gi, '\n').replace(/%0D/gi, '\r').replace(/%22/g, '"');
}

const TEXT = new TextEncoder();
const UTF8 = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
const CRLF = TEXT.encode('\r\n');
const DASH = 0x2d;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const DASHES = TEXT.encode('--');
