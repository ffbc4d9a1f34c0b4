import { concatBytes } from '../../../shared/bytes.ts';
import { isRecord, type Row } from '../../../shared/record.ts';
import { statusPage, statusPageType } from '../../../shared/status-page.ts';
import { message, Refusal, type Reply } from '../reply.ts';
import { parseJson } from './json.ts';
import { parseMultipart } from './multipart.ts';
import { type Argument, MAX_ARGUMENTS, parseUrlencoded } from './urlencoded.ts';

type Arguments = Readonly<Row>;

/** A request body by what was sent. Form arguments are text still, to be nested and typed by a schema. */
export type Body =
  | { readonly kind: 'json'; readonly args: Arguments }
  | { readonly kind: 'form'; readonly args: readonly Argument[] }
  | { readonly kind: 'yaml'; readonly text: string };

/** No body: nothing is said of any field. */
export const NO_BODY: Body = { kind: 'json', args: {} };

export interface BodyRules {
  /** Bytes; more is answered with 413. */
  readonly limit: number;
  /** Whether application/yaml and text/yaml are taken too (`/config`). */
  readonly yaml: boolean;
  /** Called with JSON before it is parsed; what it throws is the answer. */
  readonly beforeJson?: (text: string) => void;
}

/** The page of Kong's web server, which answers before the Admin API does. */
const unsupportedType: Reply = {
  status: 415,
  body: statusPage(415),
  headers: { 'content-type': statusPageType(415) },
};

/** Bytes of an entity's body: Kong's `nginx_admin_client_max_body_size`. */
export const ENTITY_BODY_LIMIT = 10 << 20;

/**
 * Reads and parses a body. Throws `Refusal` for what Kong refuses before any handler runs: 415 for a type it does not
 * take (or none with a body), 400 for text that is not what its type says, 413 above the limit.
 */
export async function readBody(request: Request, rules: BodyRules): Promise<Body> {
  const contentType = request.headers.get('content-type');
  if (contentType === null) {
    if (hasBody(request)) throw new Refusal(unsupportedType);
    return NO_BODY;
  }
  if (/,\s*[\w.+-]+\/[\w.+-]+/.test(contentType)) {
    throw new Refusal({
      status: 400,
      body: 'Multiple Content-Type headers not allowed',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    });
  }
  if (contentType.startsWith('application/json')) {
    const text = await readText(request, rules.limit);
    rules.beforeJson?.(text);
    return json(text);
  }
  if (contentType.startsWith('application/x-www-form-urlencoded')) return form(await readText(request, rules.limit));
  if (contentType.startsWith('multipart/form-data')) {
    const bytes = await readBytes(request, rules.limit);
    // A client with nothing to say sends no part, and no boundary to end it.
    const args = bytes.length === 0 ? [] : await parseMultipart(bytes, contentType);
    if (args === null) throw new Refusal(message(400, 'Cannot parse multipart body'));
    return fromArguments(args);
  }
  if (rules.yaml && (contentType.startsWith('application/yaml') || contentType.startsWith('text/yaml'))) {
    return { kind: 'yaml', text: await readText(request, rules.limit) };
  }
  throw new Refusal(unsupportedType);
}

function json(text: string): Body {
  const value = parseJson(text);
  // Lua does not tell an empty list from an empty record, so Kong takes `[]` for `{}`.
  if (Array.isArray(value) && value.length === 0) return { kind: 'json', args: {} };
  if (!isRecord(value)) throw new Refusal(message(400, 'Cannot parse JSON body'));
  if (/\\u(?:0000|d[89a-f])/i.test(text)) refuseUnstorable(value);
  return { kind: 'json', args: value };
}

/** Of a form's `a[b][c]` and `a.b.c`; no entity comes near it. */
const MAX_NESTING = 100;

function form(text: string): Body {
  try {
    return fromArguments(parseUrlencoded(text));
  } catch (error) {
    if (error instanceof TypeError) throw new Refusal(invalidUtf8);
    throw error;
  }
}

function fromArguments(args: readonly Argument[]): Body {
  if (args.length > MAX_ARGUMENTS) throw new Refusal(message(400, 'Too many arguments'));
  refuseUnstorable(args);
  if (args.some(([name]) => levelsOf(name) > MAX_NESTING)) {
    throw new Refusal(message(400, `An argument's name is nested more than ${MAX_NESTING} levels deep`));
  }
  return { kind: 'form', args };
}

/** How many levels `a.b[c][1]` spells out below its first, counted no further than needed. */
const levelsOf = (name: string): number => name.split(/[.[]/, MAX_NESTING + 2).length - 1;

/** What a body says of one top-level argument: a value, a list of a form's texts, or undefined for nothing. */
export function argument(body: Body, name: string): unknown {
  if (body.kind === 'yaml') return undefined;
  if (body.kind === 'json') return Object.hasOwn(body.args, name) ? body.args[name] : undefined;
  const values = body.args.filter(([key]) => isOrListsIn(key, name)).map(([, value]) => value);
  return values.length > 1 || body.args.some(([key]) => key !== name && isOrListsIn(key, name)) ? values : values[0];
}

/** The same body saying this instead of one top-level argument. */
export function withArgument(body: Body, name: string, value: string | readonly string[]): Body {
  if (body.kind === 'yaml') return body;
  if (body.kind === 'json') return { kind: 'json', args: { ...body.args, [name]: value } };
  const others = body.args.filter(([key]) => !isOrListsIn(key, name));
  // An empty text is how a form says null, and as near as it comes to an empty list.
  const added: Argument[] =
    typeof value === 'string'
      ? [[name, value]]
      : value.length === 0
        ? [[name, '']]
        : value.map((one) => [`${name}[]`, one]);
  return { kind: 'form', args: [...others, ...added] };
}

const isOrListsIn = (key: string, name: string): boolean =>
  key === name || (key.startsWith(`${name}[`) && /^\[\d*\]$/.test(key.slice(name.length)));

const invalidUtf8 = message(400, 'The request body is not valid UTF-8');

/** PostgreSQL has no way to store U+0000 and half a surrogate pair; a silent replacement would be a wrong answer. */
function refuseUnstorable(value: unknown): void {
  if (typeof value === 'string') {
    if (value.includes('\0') || !value.isWellFormed()) {
      throw new Refusal(
        message(400, 'The request body holds a character that cannot be stored (U+0000 or a lone surrogate)'),
      );
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      refuseUnstorable(key);
      refuseUnstorable(item);
    }
  }
}

function hasBody(request: Request): boolean {
  const length = request.headers.get('content-length');
  return length === null ? request.headers.has('transfer-encoding') : length !== '0';
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

async function readText(request: Request, limit: number): Promise<string> {
  const bytes = await readBytes(request, limit);
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Refusal(invalidUtf8);
  }
}

async function readBytes(request: Request, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const declared = request.headers.get('content-length');
  if (declared !== null) {
    if (Number(declared) > limit) throw new Refusal(tooLarge(limit));
    return new Uint8Array(await request.arrayBuffer());
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > limit) throw new Refusal(tooLarge(limit));
    chunks.push(chunk);
  }
  return concatBytes(chunks);
}

const tooLarge = (limit: number) => ({
  ...message(413, `Payload too large: at most ${limit} bytes`),
  headers: { connection: 'close' },
});
