/** The error tree of a declarative config for a terminal: nested lines, positions counted from 1, as Kong's. */
export function describeErrors(errors: object, indent = ''): string {
  return Object.entries(errors)
    .map(([field, error]) => `${indent}in '${field}':${describe(error, field, indent)}`)
    .join('\n');
}

function describe(error: unknown, name: string, indent: string): string {
  if (typeof error === 'string') return ` ${error}`;
  if (typeof error !== 'object' || error === null) return '';
  if (!Array.isArray(error)) return `\n${describeErrors(error, `${indent}  `)}`;
  const entries = error.flatMap((item: unknown, index) => {
    if (item === null) return [];
    if (typeof item === 'string') return [`\n${indent}  - in entry ${index + 1} of '${name}': ${item}`];
    return [`\n${indent}  - in entry ${index + 1} of '${name}':${describe(item, name, `${indent}  `)}`];
  });
  return entries.join('');
}
