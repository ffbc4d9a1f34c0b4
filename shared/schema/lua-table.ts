/** Kong prints keys and nested errors inside its messages as Lua tables; this writes the same text. */

const KEYWORDS = new Set(
  'and break do else elseif end false for function goto if in local nil not or repeat return then true until while'.split(
    ' ',
  ),
);

/** One line, no spaces: `{id="…",name="x"}`. */
export function inlineTable(value: object, nullAs?: string): string {
  return write(value, '', '', nullAs);
}

/** Several lines, two spaces deep, as nested errors appear in a schema violation's message. */
export function indentedTable(value: object): string {
  return write(value, '  ', '');
}

/** A value in the middle of a sentence: texts bare, tables on one line. Takes anything a request can hold. */
export function plainText(value: unknown): string {
  return typeof value === 'object' && value !== null ? inlineTable(value) : String(value);
}

function write(value: unknown, step: string, indent: string, nullAs = '"userdata: NULL"'): string {
  if (value === null || value === undefined) return nullAs;
  if (typeof value === 'string') return quote(value);
  if (typeof value !== 'object') return String(value);

  const inner = indent + step;
  const equals = step === '' ? '=' : ' = ';
  const entries = Array.isArray(value)
    ? arrayEntries(value, equals)
    : Object.keys(value)
        .sort()
        .map((key): [string, unknown] => [name(key) + equals, Reflect.get(value, key)]);
  const lines = entries.map(([prefix, item]) => inner + prefix + write(item, step, inner, nullAs));
  return step === '' ? `{${lines.join(',')}}` : `{\n${lines.join(',\n')}\n${indent}}`;
}

/** Items up to the first hole stand by themselves, those after it name their (1-based) place. */
function arrayEntries(items: readonly unknown[], equals: string): [string, unknown][] {
  const hole = items.findIndex((item) => item === null || item === undefined);
  const dense = hole < 0 ? items.length : hole;
  return items.flatMap((item, i): [string, unknown][] => {
    if (item === null || item === undefined) return [];
    return [[i < dense ? '' : `[${i + 1}]${equals}`, item]];
  });
}

function name(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) && !KEYWORDS.has(key) ? key : `[${quote(key)}]`;
}

function quote(text: string): string {
  let longest = -1;
  for (const [, , equals = ''] of `${text}]`.matchAll(/([[\]])(=*)\1/g)) longest = Math.max(longest, equals.length);
  if ((text.includes('\n') || longest >= 0) && !text.includes('\r')) {
    const level = '='.repeat(longest + 1);
    return `[${level}[${text.startsWith('\n') ? '\n' : ''}${text}]${level}]`;
  }
  return `"${text
    .replace(/[\\"\n]/g, '\\$&')
    .replaceAll('\r', '\\r')
    .replaceAll('\0', '\\0')}"`;
}
