import { HOST_CAPABILITIES } from '../../shared/cluster/hosts.ts';
import { configFeed } from '../declarative/pack.ts';
import { PackedConfig } from '../publisher/config.ts';
import type { Conflict } from '../publisher/demands.ts';
import { Shelf } from '../publisher/shelf.ts';
import { declaredTables } from '../publisher/tables.ts';
import type { Settings } from '../settings/properties.ts';
import { openStore } from '../store/open.ts';
import { schemasFor } from '../store/schemas.ts';
import type { ChangeFeed } from '../store/store.ts';
import { readConfigFile } from './config-file.ts';
import { storeSettings } from './stores.ts';

/**
 * `holdfast config check [FILE]`: what each kind of data plane cannot honour of a declarative file or, without one, of
 * the database (all workspaces), data planes of this version having the `plugins`. Such entities are allowed; only invalid config is an error.
 */
export async function checkConfig(
  settings: Settings,
  file: string | undefined,
  plugins: ReadonlySet<string>,
): Promise<void> {
  const schemas = schemasFor(settings.router_flavor);
  if (file !== undefined) return report(configFeed(await readConfigFile(file, schemas)), plugins);
  const store = await openStore(storeSettings(settings), { schemas });
  try {
    await report(store.changes, plugins);
  } finally {
    await store.close();
  }
}

/** Looks at what would be published: rows of disabled services and the like ask nothing of anyone. */
async function report(feed: Pick<ChangeFeed, 'snapshot'>, plugins: ReadonlySet<string>): Promise<void> {
  const packed = await PackedConfig.load(feed, declaredTables(), new Shelf({ age: 0, bytes: 0 }), Date.now());
  process.stdout.write('the configuration is valid\n');
  for (const [host, capabilities] of Object.entries(HOST_CAPABILITIES)) {
    const conflicts = packed.conflicts(capabilities);
    const lacking = [...packed.pluginUses()].filter(([name]) => !plugins.has(name));
    const using = lacking.reduce((sum, [, rows]) => sum + rows, 0);
    const entities = new Set(conflicts.map(({ entity, id }) => `${entity} ${id}`)).size;
    const lines = [...lacking.map(lackingLine), ...conflicts.map(line)];
    process.stdout.write(`\n${host}: ${verdict(entities + using)}\n${lines.join('')}`);
  }
}

function lackingLine([name, rows]: readonly [name: string, rows: number]): string {
  const uses = rows === 1 ? '1 use' : `${rows} uses`;
  return `  plugin '${name}' (${uses}): data planes of this version do not have it, and get no config while it is used\n`;
}

function verdict(entities: number): string {
  if (entities === 0) return 'can honour all of it';
  return entities === 1 ? 'cannot honour 1 entity' : `cannot honour ${entities} entities`;
}

function line({ entity, id, name, reason }: Conflict): string {
  return `  ${entity} ${name === null ? id : `'${name}' (${id})`}: ${reason}\n`;
}
