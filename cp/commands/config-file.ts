import { readFileSync } from 'node:fs';
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
  if (!/\.(ya?ml|json)$/.test(file)) {
    throw new CommandError(`unknown file type: ${file}. (Accepted types: json, yaml)`);
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${messageOf(error)}`);
  }
  try {
    return await parseConfig(text, withLuaPlugins(catalogOf(schemas).context, there), schemas.entities);
  } catch (error) {
    if (error instanceof KongError) {
      throw new CommandError(`error parsing declarative config file ${file}:\n${describeErrors(error.fields ?? {})}`);
    }
    throw error;
  }
}
