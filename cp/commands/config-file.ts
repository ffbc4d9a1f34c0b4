import { readFileSync } from 'node:fs';
import { documentLines } from '../../shared/declarative/document-lines.ts';
import type { ParsedConfig } from '../../shared/declarative/parse.ts';
import { withLuaPlugins } from '../../shared/lua-plugins/with-lua-plugins.ts';
import type { Row } from '../../shared/record.ts';
import { KongError } from '../../shared/schema/errors.ts';
import { messageOf } from '../../shared/thrown.ts';
import { describeErrors } from '../declarative/describe-errors.ts';
import { parseConfig } from '../declarative/import.ts';
import { catalogOf, type Schemas } from '../store/catalog.ts';
import { CommandError } from './command.ts';

/**
 * Reads and checks a declarative file, which may use the plugins in Lua that are `there` besides those it brings. Throws `CommandError` with
 * everything that is wrong with it, as Kong words it.
 */
export async function readConfigFile(
  file: string,
  schemas: Schemas,
  there: readonly Row[] = [],
): Promise<ParsedConfig> {
  return parseConfigText(readConfigText(file), file, schemas, there);
}

/** The text of a declarative file. Throws `CommandError`. */
export function readConfigText(file: string): string {
  if (!/\.(ya?ml|json)$/.test(file)) {
    throw new CommandError(`unknown file type: ${file}. (Accepted types: json, yaml)`);
  }
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${messageOf(error)}`);
  }
}

/** `readConfigFile` for text that was read already. */
export async function parseConfigText(
  text: string,
  file: string,
  schemas: Schemas,
  there: readonly Row[] = [],
): Promise<ParsedConfig> {
  try {
    return await parseConfig(text, withLuaPlugins(catalogOf(schemas).context, there), schemas.entities);
  } catch (error) {
    throw error instanceof KongError ? invalidFile(file, text, error.fields ?? {}) : error;
  }
}

/** Everything that is wrong with a file of that text, as Kong words it, and in which lines. */
export function invalidFile(file: string, text: string, fields: Readonly<Record<string, unknown>>): CommandError {
  const what = describeErrors(fields, documentLines(text));
  return new CommandError(`error parsing declarative config file ${file}:\n${what}`);
}
