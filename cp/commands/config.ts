import { once } from 'node:events';
import { createWriteStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { finished } from 'node:stream/promises';

import { exportYaml } from '../../shared/declarative/export.ts';
import { KongError } from '../../shared/schema/errors.ts';
import { describeErrors } from '../declarative/describe-errors.ts';
import { allRows, importConfig, parseConfig } from '../declarative/import.ts';
import { catalogOf } from '../store/catalog.ts';
import { openStore } from '../store/open.ts';
import { schemas } from '../store/schemas.ts';
import type { Workspace } from '../store/store.ts';
import { CommandError, type Invocation, settingsFor } from './command.ts';
import { storeSettings } from './stores.ts';

const { context } = catalogOf(schemas);

const DEFAULT_FILE = 'kong.yml';

/** `holdfast config parse|import|export|init [FILE]`; Kong's `db_import` and `db_export` are understood too. */
export async function config(invocation: Invocation): Promise<void> {
  const [action = '', file = DEFAULT_FILE] = invocation.words;
  if (action === 'init') return init(file);
  if (action === 'parse') return parse(file);
  if (action === 'import' || action === 'db_import')
    return withWorkspace(invocation, (workspace) => load(workspace, file));
  if (action === 'export' || action === 'db_export')
    return withWorkspace(invocation, (workspace) => save(workspace, file));
  throw new CommandError(`expected 'config parse', 'import', 'export' or 'init', found 'config ${action}'`, 2);
}

function init(file: string): void {
  refuseOverwriting(file);
  writeFileSync(
    file,
    `# Declarative configuration of Holdfast, in Kong's format 3.0.
# Check it with 'holdfast config parse ${file}', load it with 'holdfast config import ${file}'.
_format_version: "3.0"

# services:
#   - name: example
#     url: http://127.0.0.1:8100
#     routes:
#       - name: example
#         paths:
#           - /example
#     plugins:
#       - name: key-auth
# consumers:
#   - username: ada
#     keyauth_credentials:
#       - key: open-sesame
`,
  );
  process.stdout.write(`made ${file}\n`);
}

async function parse(file: string): Promise<void> {
  await parsed(file);
  process.stdout.write('parse successful\n');
}

async function load(workspace: Workspace, file: string): Promise<void> {
  const document = await parsed(file);
  const show = process.stderr.isTTY;
  try {
    await importConfig(workspace, document, {
      mode: 'upsert',
      context,
      progress: (written, total) => {
        if (show) process.stderr.write(`\r${written} of ${total} entities`);
        else if (written === total) process.stderr.write(`${total} entities\n`);
      },
    });
  } catch (error) {
    if (error instanceof KongError) throw new CommandError(`nothing was imported: ${error.message}`);
    throw error;
  } finally {
    if (show) process.stderr.write('\n');
  }
  process.stdout.write('import successful\n');
}

async function save(workspace: Workspace, file: string): Promise<void> {
  refuseOverwriting(file);
  const output = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  for await (const text of exportYaml((entity) => allRows(workspace, entity))) {
    if (!output.write(text)) await once(output, 'drain');
  }
  output.end();
  await finished(output);
  process.stdout.write(`exported to ${file}\n`);
}

async function parsed(file: string) {
  if (!/\.(ya?ml|json)$/.test(file)) {
    throw new CommandError(`unknown file type: ${file}. (Accepted types: json, yaml)`);
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${error instanceof Error ? error.message : error}`);
  }
  try {
    return await parseConfig(text, context);
  } catch (error) {
    if (error instanceof KongError) {
      throw new CommandError(`error parsing declarative config file ${file}:\n${describeErrors(error.fields ?? {})}`);
    }
    throw error;
  }
}

function refuseOverwriting(file: string): void {
  if (existsSync(file)) throw new CommandError(`${file} already exists. Will not overwrite it.`);
}

async function withWorkspace(invocation: Invocation, work: (workspace: Workspace) => Promise<void>): Promise<void> {
  const { settings } = settingsFor(invocation);
  const store = await openStore(storeSettings(settings));
  try {
    const workspace = await store.workspace('default');
    if (!workspace) throw new CommandError("the database has no workspace 'default': run 'holdfast migrations up'");
    await work(workspace);
  } finally {
    await store.close();
  }
}
