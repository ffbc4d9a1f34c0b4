import { expressionsOf } from '../../head.ts';
import { luaSyntaxError } from '../../lua/syntax.ts';
import { headerNameError } from '../../schema/formats/text.ts';
import type { ArrayField, StringField } from '../../schema/vocabulary.ts';

/** `name:value` items of the transformer plugins. */

/** Something on both sides of a colon; the value may be empty. */
export const pair = { pattern: '^[^:]+:.*$', regex: /^[^:]+:/ } as const;

/** A list that is there even when it is empty. */
export function list<const E extends StringField>(elements: E) {
  return { type: 'array', required: true, default: [], elements } as const satisfies ArrayField;
}

function split(pair: string): { name: string; value: string } {
  const [, name = '', value = ''] = /^([^:]+):*(.*)$/s.exec(pair) ?? [];
  return { name, value };
}

/** The name is a header's: `name:value`. */
export function headerPairError(pair: string): string | undefined {
  const { name } = split(pair);
  return headerNameError(name) === undefined ? undefined : `'${name}' is not a valid header`;
}

/** Both sides are names: `old:new`. */
export function headerRenameError(pair: string): string | undefined {
  const { value } = split(pair);
  const error = headerPairError(pair);
  if (error !== undefined) return error;
  return headerNameError(value) === undefined ? undefined : `'${value}' is not a valid header`;
}

/** The value is a template in which `$(…)` holds a Lua expression. */
export function templatePairError(pair: string): string | undefined {
  const { name, value } = split(pair);
  if (value === '') return `key '${name === '' ? pair : name}' has no value`;
  for (const { start, end } of expressionsOf(value)) {
    const error = luaSyntaxError(`return ${value.slice(start + 1, end)}`);
    if (error !== undefined) return `value '${value}' is not in supported format, error:${error}`;
  }
  return undefined;
}
