import { codePoint } from './unseen.ts';

/**
 * What of a message's head (RFC 9110 section 5, RFC 9112 section 3) a config value becomes: a field's name or value, both
 * with a colon between them, or a template of a value, in which `$(…)` is filled in with each request.
 */
export type HeadPart = 'name' | 'value' | 'template' | 'name:value' | 'name:name' | 'name:template';

/**
 * Why a text cannot be that part, or nothing: it would end the line, or begin another. One rule for both planes: the control
 * plane refuses the write, a data plane the config.
 */
export function headProblem(part: HeadPart, text: string): string | undefined {
  switch (part) {
    case 'name':
      return nameProblem(text);
    case 'value':
      return valueProblem(text);
    case 'template':
      return valueProblem(withoutExpressions(text));
    default: {
      const [, name = text, value] = /^([^:]*):(.*)$/s.exec(text) ?? [];
      // An item without a colon is a name alone (`remove`).
      if (value === undefined || value === '') return nameProblem(name);
      return nameProblem(name) ?? headProblem(SECOND[part], value);
    }
  }
}

const SECOND = { 'name:value': 'value', 'name:name': 'name', 'name:template': 'template' } as const;

/** By code, the characters of a token: RFC 9110 section 5.6.2. */
const TOKEN = new Uint8Array(128);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  TOKEN[char.charCodeAt(0)] = 1;

/** Whether a text can be the name of a field, a method, the name of a cookie. */
export function isToken(text: string): boolean {
  return text !== '' && isTokenIn(text, 0, text.length);
}

/** The same of a part of a text, which may be empty. */
export function isTokenIn(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (TOKEN[text.charCodeAt(at)] !== 1) return false;
  return true;
}

/** Whether a text can be the name of a field. */
export function isFieldName(text: string): boolean {
  return FIELD_NAMES.has(text) || isToken(text);
}

/** The same of a name that will be asked about with each message: its characters are looked at once. */
export function isFrequentFieldName(text: string): boolean {
  if (FIELD_NAMES.has(text)) return true;
  if (!isToken(text)) return false;
  if (FIELD_NAMES.size >= MOST_NAMES) FIELD_NAMES.clear();
  if (text.length <= LONGEST_NAME) FIELD_NAMES.add(text);
  return true;
}

/** What gateway and plugins write into messages. */
const FIELD_NAMES = new Set<string>();
const MOST_NAMES = 1_000;
const LONGEST_NAME = 64;

function nameProblem(name: string): string | undefined {
  if (isToken(name)) return undefined;
  return `${JSON.stringify(name)} cannot be the name of a header: letters, digits and !#$%&'*+-.^_\`|~ are allowed`;
}

// A tab is a blank; the line separators of Unicode end no line of a message.
const CONTROL = /(?!\t)\p{Cc}/u;

function valueProblem(value: string): string | undefined {
  const control = CONTROL.exec(value);
  if (control === null) return undefined;
  return `a header cannot hold the control character ${codePoint(control[0])} (at position ${control.index + 1})`;
}

/** The template with `$()` for each `$(…)` in it, parentheses balanced; one that is never closed is plain text. */
export function withoutExpressions(template: string): string {
  let text = '';
  let from = 0;
  for (const { start, end } of expressionsOf(template)) {
    text += `${template.slice(from, start)}$()`;
    from = end;
  }
  return text + template.slice(from);
}

/** Where `$(…)` stand in a template: from the `$` to behind the parenthesis that closes it. */
export function expressionsOf(template: string): { readonly start: number; readonly end: number }[] {
  const found: { start: number; end: number }[] = [];
  const open: number[] = [];
  for (let at = 0; at < template.length; at++) {
    if (template[at] === '(') open.push(at);
    if (template[at] !== ')') continue;
    const from = open.pop();
    if (from !== undefined && template[from - 1] === '$') found.push({ start: from - 1, end: at + 1 });
  }
  const outer: typeof found = [];
  // The outermost close last.
  for (const expression of found) {
    while ((outer.at(-1)?.start ?? -1) > expression.start) outer.pop();
    outer.push(expression);
  }
  return outer;
}
