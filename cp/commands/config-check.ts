import { HOST_CAPABILITIES } from '../../shared/cluster/hosts.ts';
import { recordOrEmpty } from '../../shared/record.ts';
import { configFeed } from '../declarative/pack.ts';
import { PackedConfig } from '../publisher/config.ts';
import type { Conflict } from '../publisher/demands.ts';
import { Shelf } from '../publisher/shelf.ts';
import { declaredTables } from '../publisher/tables.ts';
import type { Settings } from '../settings/properties.ts';
import type { Schemas } from '../store/catalog.ts';
import { schemasFor } from '../store/schemas.ts';
import type { ChangeFeed } from '../store/store.ts';
import { parseConfigText, readConfigFile } from './config-file.ts';
import { type RunningAdmin, runningAdmin } from './running-admin.ts';
import { openOwnStore } from './stores.ts';

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
  if (file !== undefined) return report([configFeed(await readConfigFile(file, schemas))], plugins);
  const admin = runningAdmin(settings, 'config check');
  if (admin !== null) return report(await feedsOf(admin, schemas), plugins);
  const store = await openOwnStore(settings);
  try {
    await report([store.changes], plugins);
  } finally {
    await store.close();
  }
}

type Feed = Pick<ChangeFeed, 'snapshot'>;

/** Each workspace of an instance that has the database in use. */
async function feedsOf(admin: RunningAdmin, schemas: Schemas): Promise<Feed[]> {
  const feeds: Feed[] = [];
  for (let next: unknown = '/workspaces?size=1000'; typeof next === 'string'; ) {
    const page = recordOrEmpty(JSON.parse(await admin.ask(next)));
    for (const { name } of Array.isArray(page.data) ? page.data.map(recordOrEmpty) : []) {
      const text = await admin.ask(`/${encodeURIComponent(String(name))}/config/export`);
      feeds.push(configFeed(await parseConfigText(text, `of workspace '${name}'`, schemas)));
    }
    next = page.next;
  }
  return feeds;
}

/** Looks at what would be published: rows of disabled services and the like ask nothing of anyone. */
async function report(feeds: readonly Feed[], plugins: ReadonlySet<string>): Promise<void> {
  const all = await Promise.all(
    feeds.map((feed) => PackedConfig.load(feed, declaredTables(), new Shelf({ age: 0, bytes: 0 }), Date.now())),
  );
  process.stdout.write('the configuration is valid\n');
  for (const [host, capabilities] of Object.entries(HOST_CAPABILITIES)) {
    const conflicts = all.flatMap((packed) => packed.conflicts(capabilities));
    const uses = new Map<string, number>();
    for (const packed of all) {
      for (const [name, rows] of packed.pluginUses()) uses.set(name, (uses.get(name) ?? 0) + rows);
    }
    const lacking = [...uses].filter(([name]) => !plugins.has(name));
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
