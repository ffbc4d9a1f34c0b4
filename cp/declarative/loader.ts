import { createHash } from 'node:crypto';

import type { ParsedConfig } from '../../shared/declarative/parse.ts';
import { withLuaPlugins } from '../../shared/lua-plugins/with-lua-plugins.ts';
import type { Row } from '../../shared/record.ts';
import type { ConfigLoader, LoadedConfig } from '../admin/declarative/config-loader.ts';
import { catalogOf, type Schemas } from '../store/catalog.ts';
import type { Store, Workspace } from '../store/store.ts';
import { allRows } from './all-rows.ts';
import { diffConfig } from './diff.ts';
import { DocumentRoom } from './document-room.ts';
import { exportedDocument } from './exported.ts';
import { InvalidDeclarativeConfig, importConfig, parseConfig, WorkspaceBusy } from './import.ts';
import { LastLoaded } from './last-loaded.ts';

/** Kong's `configuration_hash` of a config without entities. */
const EMPTY_HASH = '0'.repeat(32);

/** Entities of a document that the answer to it lists: more would not fit into one text. */
const MOST_LISTED = 50_000;

/** What becomes of documents that are large. */
interface Bounds {
  readonly room?: DocumentRoom;
  readonly listed?: number;
}

/**
 * `/config`: a document becomes the workspace's whole config or is merged into it, as one serial; or the config a document.
 * `loaded`: what is known of the documents of before.
 */
export function configLoader(
  store: Store,
  schemas: Schemas,
  loaded = new LastLoaded(null),
  { room = new DocumentRoom(), listed = MOST_LISTED }: Bounds = {},
): ConfigLoader {
  const catalog = catalogOf(schemas);
  const loading = new Set<string>();

  async function workspaceOf(name: string): Promise<Workspace> {
    const workspace = await store.workspace(name);
    if (!workspace) throw new Error(`there is no workspace '${name}'`);
    return workspace;
  }

  async function replace(name: string, document: Parameters<ConfigLoader['load']>[1]): Promise<LoadedConfig> {
    const workspace = await workspaceOf(name);
    const read = await room.read(document);
    const done = room.take(read);
    try {
      return await replaceBy(workspace, document, await parseConfig(read, catalog.context, schemas.entities));
    } finally {
      done();
    }
  }

  async function replaceBy(
    workspace: Workspace,
    document: Parameters<ConfigLoader['load']>[1],
    parsed: ParsedConfig,
  ): Promise<LoadedConfig> {
    const before = await store.changes.serial();
    let config: Record<string, Record<string, Row>> | null = null;
    let rows = 0;
    const { written, unchanged, deleted } = await importConfig(workspace, parsed, {
      mode: 'replace',
      catalog,
      onStart: () => {
        rows = 0;
        config = Object.fromEntries([...parsed.entities.keys()].map((entity) => [entity, {}]));
      },
      onRow: (entity, row) => {
        if (++rows > listed) config = null;
        else if (config !== null) config[entity] = Object.assign(config[entity] ?? {}, { [String(row.id)]: row });
      },
    });
    const after = await store.changes.serial();
    // Serials have no gaps: any other distance means that someone else wrote meanwhile.
    const alone = after === before + (written + deleted > 0 ? 1 : 0);
    const isEmpty = rows === 0;
    loaded.set(workspace.name, {
      hash: isEmpty ? EMPTY_HASH : hashOf(document),
      serial: typeof document === 'string' && alone && !isEmpty ? after : null,
    });
    return { config, written, unchanged, deleted };
  }

  /** A document that is merged may use plugins in Lua that are there. */
  async function parsedIn<T>(
    workspace: Workspace,
    document: Parameters<ConfigLoader['load']>[1],
    use: (parsed: ParsedConfig) => Promise<T>,
  ): Promise<T> {
    const there: Row[] = [];
    for await (const row of allRows(workspace, 'custom_plugins')) there.push(row);
    const read = await room.read(document);
    const done = room.take(read);
    try {
      return await use(await parseConfig(read, withLuaPlugins(catalog.context, there), schemas.entities));
    } finally {
      done();
    }
  }

  return {
    async load(name, document, { flattenErrors, checkHash }) {
      if (loading.has(name)) return { outcome: 'busy' };
      loading.add(name);
      try {
        const last = loaded.get(name);
        const same = checkHash && typeof document === 'string' && last?.hash === hashOf(document);
        if (same && last.serial === (await store.changes.serial())) return { outcome: 'unchanged' };
        return { outcome: 'loaded', ...(await replace(name, document)) };
      } catch (error) {
        if (error instanceof WorkspaceBusy) return { outcome: 'busy' };
        throw flattenErrors && error instanceof InvalidDeclarativeConfig ? error.flattened() : error;
      } finally {
        loading.delete(name);
      }
    },
    async compare(name, document) {
      const workspace = await workspaceOf(name);
      return parsedIn(workspace, document, (parsed) => diffConfig(workspace, parsed, catalog));
    },
    async merge(name, document) {
      if (loading.has(name)) return null;
      loading.add(name);
      try {
        const workspace = await workspaceOf(name);
        return await parsedIn(workspace, document, async (parsed) => {
          const { written, unchanged, warnings } = await importConfig(workspace, parsed, { mode: 'upsert', catalog });
          return { written, unchanged, warnings };
        });
      } catch (error) {
        if (error instanceof WorkspaceBusy) return null;
        throw error;
      } finally {
        loading.delete(name);
      }
    },
    requireRoom: (text) => room.require(text),
    hash: (name) => loaded.get(name)?.hash ?? EMPTY_HASH,
    async *document(name) {
      const workspace = await workspaceOf(name);
      yield* exportedDocument(workspace);
    },
  };
}

/** As Kong's: it tells documents apart, and guards nothing. */
function hashOf(document: string | Row): string {
  const text = typeof document === 'string' ? document : JSON.stringify(document);
  return createHash('md5').update(text).digest('hex');
}
