/** A Cap'n Proto text literal: UTF-8 as it is, quotes, backslashes and control characters escaped. */
export function text(value: string): string {
  const escaped = value.replace(/["\\\p{Cc}]/gu, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    if (character === '\n') return '\\n';
    const utf8 = new TextEncoder().encode(character);
    return Array.from(utf8, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
  });
  return `"${escaped}"`;
}

/** A list literal, one element per line. */
export function list(elements: readonly string[]): string {
  return `[${elements.map((element) => `\n    ${element},`).join('')}\n  ]`;
}

/** A struct literal: `(name = value, …)`. Members without a value are left out. */
export function struct(members: Readonly<Record<string, string | null>>): string {
  const written = Object.entries(members).flatMap(([name, value]) => (value === null ? [] : [`${name} = ${value}`]));
  return `(${written.join(', ')})`;
}
