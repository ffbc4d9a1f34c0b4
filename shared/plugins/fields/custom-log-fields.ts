import { luaSyntaxError } from '../../lua/syntax.ts';
import { defineField } from '../../schema/vocabulary.ts';

/** Log fields computed by Lua: name to source. */
export const customLogFields = defineField({
  type: 'map',
  description: 'Fields of each line by name: Lua that returns the value. nil leaves the field out.',
  keys: { type: 'string', len_min: 1 },
  values: { type: 'string', len_min: 1, custom_validator: codeError },
});

function codeError(source: string): string | undefined {
  const error = luaSyntaxError(source);
  return error === undefined ? undefined : `Error parsing function: ${error}`;
}
