import { createWriteStream, existsSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { pipeline } from 'node:stream/promises';

import { type Row, recordOrEmpty } from '../../shared/record.ts';
import { KongError } from '../../shared/schema/errors.ts';
import { withoutUnseen } from '../../shared/unseen.ts';
import { allRows } from '../declarative/all-rows.ts';
import { diffConfig } from '../declarative/diff.ts';
import { exportedDocument } from '../declarative/exported.ts';
import { type ImportOutcome, importConfig, WorkspaceBusy } from '../declarative/import.ts';
import { takesLuaPlugins } from '../settings/lua-plugins.ts';
import type { Settings } from '../settings/properties.ts';
import { type Author, writingAs } from '../store/author.ts';
import { catalogOf, type Schemas } from '../store/catalog.ts';
import { schemasFor } from '../store/schemas.ts';
import type { Workspace } from '../store/store.ts';
import { type Command, CommandError, type Invocation, settingsFor, unknownAction } from './command.ts';
import { checkConfig } from './config-check.ts';
import { invalidFile, readConfigFile, readConfigText } from './config-file.ts';
import { type ReplayConfigs, replayConfig } from './config-replay.ts';
import { choosePlugins, type ReadDataPlanePlugins } from './enabled-plugins.ts';
import { printChanges } from './print-changes.ts';
import { DIFFERENT, REQUEST_OPTIONS } from './replay.ts';
import { AdminRefusal, type RunningAdmin, runningAdmin } from './running-admin.ts';
import { inDefaultWorkspace } from './stores.ts';

const DEFAULT_FILE = 'kong.yml';

/** Declarative configuration; Kong's `db_import` and `db_export` are understood too. */
export function configCommand(ofDataPlane: ReadDataPlanePlugins, replay: ReplayConfigs): Command {
  return {
    summary: 'declarative configuration (YAML or JSON): parse, check, diff, replay, import, export, init',
    forms: {
      'init [FILE]': 'make a file to begin with',
      'parse [FILE]': 'say what is wrong with a file',
      'check [FILE]': 'what data planes cannot honour of a file, or of the database',
      'import [FILE]':
        'create and change what the file names, as one change; what it does not name stays (also: db_import)',
      'diff [FILE]': "what 'import' would create and change, field by field; nothing is written",
      'replay [FILE] --requests FILE':
        'which requests would meet something else if the file were the whole config; nothing is written or sent, no data plane is asked',
      'export [FILE]': 'write all of the database to a file (also: db_export)',
    },
    options: {
      ...REQUEST_OPTIONS,
      against: { takes: 'FILE', text: 'replay: the config that is compared with; without it what the database has' },
    },
    examples: [
      'holdfast config parse kong.yml',
      'holdfast config import kong.yml',
      'holdfast config replay kong.yml --against main.yml --requests access.log',
      'holdfast config export backup.yml',
    ],
    exitCodes: { [DIFFERENT]: 'replay: some requests would meet something else' },
    run: (invocation) => config(invocation, ofDataPlane, replay),
  };
}

async function config(invocation: Invocation, ofDataPlane: ReadDataPlanePlugins, replay: ReplayConfigs): Promise<void> {
  const [action = '', file] = invocation.words;
  if (action === 'init') return init(file ?? DEFAULT_FILE);
  const { settings } = settingsFor(invocation);
  const { enabled, runnable, choice } = await choosePlugins(settings, ofDataPlane);
  const schemas = schemasFor(settings.router_flavor, await enabled(), takesLuaPlugins(settings));
  switch (action) {
    case 'parse':
      return parse(schemas, file ?? DEFAULT_FILE);
    case 'check':
      return checkConfig(settings, file, await runnable());
    case 'import':
    case 'db_import':
      return load(settings, schemas, file ?? DEFAULT_FILE);
    case 'diff':
      return diff(settings, schemas, file ?? DEFAULT_FILE);
    case 'replay': {
      const own = choice.own.map(({ name }) => name);
      return replayConfig(settings, { schemas, own, replay }, file ?? DEFAULT_FILE, invocation.options);
    }
    case 'export':
    case 'db_export':
      return save(settings, file ?? DEFAULT_FILE);
    default:
      throw unknownAction('config', ['parse', 'check', 'diff', 'replay', 'import', 'export', 'init'], action);
  }
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

async function parse(schemas: Schemas, file: string): Promise<void> {
  await readConfigFile(file, schemas);
  process.stdout.write('parse successful\n');
}

const NO_IMPORT =
  'database = off has nothing to import into: name the file as declarative_config, or send it to POST /config of the Admin API';

async function load(settings: Settings, schemas: Schemas, file: string): Promise<void> {
  if (settings.database === 'off') throw new CommandError(NO_IMPORT);
  const admin = runningAdmin(settings, 'config import');
  const { written, unchanged, warnings } =
    admin === null
      ? await inDefaultWorkspace(settings, (workspace) =>
          writingAs(commandAuthor(), () => loadInto(schemas, workspace, file)),
        )
      : await loadThrough(admin, file);
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write(`import successful: ${written} written, ${unchanged} unchanged\n`);
}

/** Who runs this command, by the account of the system. */
function commandAuthor(): Author {
  const user = withoutUnseen(accountName()).slice(0, 100);
  return { via: 'command', user: user === '' ? null : user, address: null, client: 'holdfast config import' };
}

/** An account may have a number and no name. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}

async function diff(settings: Settings, schemas: Schemas, file: string): Promise<void> {
  const admin = runningAdmin(settings, 'config diff');
  if (admin !== null) {
    const { data } = recordOrEmpty(JSON.parse(await through(admin, '/config/diff', file, 'cannot be compared')));
    return printChanges(data);
  }
  await inDefaultWorkspace(settings, async (workspace) => {
    const document = await readIn(workspace, schemas, file);
    try {
      printChanges(await diffConfig(workspace, document, catalogOf(schemas)));
    } catch (error) {
      if (error instanceof KongError) throw new CommandError(`cannot be compared: ${error.message}`);
      throw error;
    }
  });
}

async function readIn(workspace: Workspace, schemas: Schemas, file: string) {
  const there: Row[] = [];
  for await (const row of allRows(workspace, 'custom_plugins')) there.push(row);
  return readConfigFile(file, schemas, there);
}

async function loadThrough(admin: RunningAdmin, file: string): Promise<LoadOutcome> {
  return JSON.parse(await through(admin, '/config/import', file, 'nothing was imported'));
}

/** `failed`: what is so, in words, when the answer is no. */
async function through(admin: RunningAdmin, path: string, file: string, failed: string): Promise<string> {
  const type = /\.json$/.test(file) ? 'application/json' : 'application/yaml';
  const text = readConfigText(file);
  try {
    return await admin.ask(path, { text, type });
  } catch (error) {
    if (!(error instanceof AdminRefusal)) throw error;
    const invalid = Object.keys(error.fields).length > 0 && error.message.startsWith('declarative config is invalid');
    throw invalid ? invalidFile(file, text, error.fields) : new CommandError(`${failed}: ${error.message}`);
  }
}

type LoadOutcome = Pick<ImportOutcome, 'written' | 'unchanged' | 'warnings'>;

async function loadInto(schemas: Schemas, workspace: Workspace, file: string): Promise<LoadOutcome> {
  const document = await readIn(workspace, schemas, file);
  const show = process.stderr.isTTY;
  try {
    return await importConfig(workspace, document, {
      mode: 'upsert',
      catalog: catalogOf(schemas),
      progress: (written, total) => {
        if (show) process.stderr.write(`\r${written} of ${total} entities`);
        else if (written === total) process.stderr.write(`${total} entities\n`);
      },
    });
  } catch (error) {
    if (error instanceof KongError || error instanceof WorkspaceBusy) {
      throw new CommandError(`nothing was imported: ${error.message}`);
    }
    throw error;
  } finally {
    if (show) process.stderr.write('\n');
  }
}

async function save(settings: Settings, file: string): Promise<void> {
  refuseOverwriting(file);
  const admin = runningAdmin(settings, 'config export');
  if (admin === null) {
    await inDefaultWorkspace(settings, (workspace) => write(file, exportedDocument(workspace)));
  } else await write(file, [await admin.ask('/config/export')]);
  process.stdout.write(`exported to ${file}\n`);
}

/** Whole or not at all: half of it would pass for a backup. */
async function write(file: string, document: AsyncIterable<string> | Iterable<string>): Promise<void> {
  const output = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  let made = false;
  output.once('open', () => {
    made = true;
  });
  try {
    await pipeline(document, output);
  } catch (error) {
    if (made) rmSync(file, { force: true });
    throw error;
  }
}

function refuseOverwriting(file: string): void {
  if (existsSync(file)) throw new CommandError(`${file} already exists. Will not overwrite it.`);
}
