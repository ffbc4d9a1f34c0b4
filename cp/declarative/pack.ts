import type { BundleRow, Manifest, PackedObject } from '../../shared/bundle/format.ts';
import { DEFAULT_GROUP } from '../../shared/bundle/format.ts';
import { buildManifest } from '../../shared/bundle/manifest.ts';
import type { ParsedConfig } from '../../shared/declarative/parse.ts';
import { entities } from '../../shared/entities/registry.ts';
import { plugins } from '../../shared/plugins/registry.ts';
import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import { PackedConfig } from '../publisher/config.ts';
import { Shelf } from '../publisher/shelf.ts';
import { declaredTables } from '../publisher/tables.ts';
import type { ChangeFeed } from '../store/store.ts';

/** No cluster: what a data plane serves of its own `declarative_config` was signed by nobody. */
const NO_CLUSTER = '00000000-0000-0000-0000-000000000000';

/** A declarative config packed as a data plane loads it: like a bundle, but for the signature. */
export async function packConfig(
  config: ParsedConfig,
): Promise<{ manifest: Manifest; objects: readonly PackedObject[] }> {
  const shelf = new Shelf({ age: 0, bytes: 0 });
  const now = Date.now();
  const packed = await PackedConfig.load(configFeed(config), declaredTables(), shelf, now);
  const manifest = await buildManifest({
    cluster: NO_CLUSTER,
    group: DEFAULT_GROUP,
    serial: 0,
    issued_at: Math.floor(now / 1000),
    tables: await packed.refs(now),
    plugins: packed.plugins((name) => plugins.get(name)?.version),
    keys: [],
  });
  const objects = [...packed.names()].flatMap((name) => shelf.get(name) ?? []);
  return { manifest, objects };
}

/** A parsed config as the publisher reads a database. A file has one workspace, the default one. */
export function configFeed(config: ParsedConfig): Pick<ChangeFeed, 'snapshot'> {
  const workspaced = new Set(entities.filter(({ workspaceable }) => workspaceable === true).map(({ name }) => name));
  return {
    snapshot: async (wanted) => ({
      serial: 0,
      rows: (async function* () {
        for (const entity of wanted) {
          const workspace = workspaced.has(entity) ? { ws_id: DEFAULT_WORKSPACE.id } : {};
          for (const [id, { row, ttl }] of config.entities.get(entity) ?? []) {
            const expiry = ttl === null ? {} : { ttl: Math.floor(Date.now() / 1000) + ttl };
            const bundled: BundleRow = { ...row, id, ...workspace, ...expiry };
            yield { entity, row: bundled };
          }
        }
      })(),
    }),
  };
}
