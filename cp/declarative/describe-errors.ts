import type { DocumentPath, LineOf } from '../../shared/declarative/document-lines.ts';

/**
 * The error tree of a declarative config for a terminal: nested lines, positions counted from 1, as Kong's; and where in the document's
 * text each of them is, where that is known.
 */
export function describeErrors(errors: object, lineOf: LineOf = () => null): string {
  return fields(errors, [], '', lineOf);
}

function fields(errors: object, path: DocumentPath, indent: string, lineOf: LineOf): string {
  return Object.entries(errors)
    .map(([field, error]) => `${indent}in '${field}':${describe(error, [...path, field], indent, lineOf)}`)
    .join('\n');
}

function describe(error: unknown, path: DocumentPath, indent: string, lineOf: LineOf): string {
  if (typeof error === 'string') return ` ${error}${place(lineOf(path))}`;
  if (typeof error !== 'object' || error === null) return '';
  if (!Array.isArray(error)) return `\n${fields(error, path, `${indent}  `, lineOf)}`;
  const list = path.findLast((step) => typeof step === 'string');
  const entries = error.flatMap((item: unknown, index) => {
    if (item === null) return [];
    const inside = describe(item, [...path, index], `${indent}  `, lineOf);
    return [`\n${indent}  - in entry ${index + 1} of '${list}':${inside}`];
  });
  return entries.join('');
}

function place(line: number | null): string {
  return line === null ? '' : ` (line ${line})`;
}
