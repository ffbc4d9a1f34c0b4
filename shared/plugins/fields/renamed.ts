import type { Field, ShorthandField } from '../../schema/vocabulary.ts';

/** A field's former name, accepted and shown until Kong 4.0; the value lives at `path` beside it. */
export function renamed(name: string, path: readonly string[], field: Field): ShorthandField {
  return {
    name,
    field: { ...field, deprecation: { removal_in_version: '4.0', replaced_with: [{ path }] } },
    expand: (value) => nest(path, value),
  };
}

function nest(path: readonly string[], value: unknown): Record<string, unknown> {
  const [key = '', ...rest] = path;
  return { [key]: rest.length === 0 ? value : nest(rest, value) };
}
