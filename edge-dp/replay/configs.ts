import type { ObjectName, PackedObject } from '../../shared/bundle/format.ts';
import { gunzip } from '../../shared/bundle/object.ts';
import type { ConfigReplay, WholeConfig } from '../../shared/cluster/config-replay.ts';
import type { ReplayFigures } from '../../shared/cluster/replay.ts';
import { messageOf } from '../../shared/thrown.ts';
import { changesBetween, NO_TABLES, readTables } from '../config/tables.ts';
import { type PluginRegistry, plugins } from '../plugins/registry.ts';
import type { Plugin } from '../plugins/runtime/plugin.ts';
import { createRequestPath } from '../proxy/create.ts';
import type { RequestPath } from '../proxy/request-path.ts';
import type { ProxySettings } from '../settings.ts';
import { Comparison } from './compare.ts';
import { figuresOf } from './figures.ts';

/**
 * What requests meet in one config and in another, as a data plane would compile them, in this process: nothing is sent, no plugin runs,
 * no secret is looked up. Throws what a data plane would refuse a config for, naming which it is.
 */
export async function replayConfigs({
  before,
  after,
  requests,
  list,
  routerFlavor,
  own,
}: ConfigReplay): Promise<ReplayFigures> {
  const registry: PluginRegistry = new Map([
    ...plugins,
    ...own.map((plugin) => [plugin.name, standIn(plugin)] as const),
  ]);
  const settings = { ...SETTINGS, routerFlavor };
  const empty = createRequestPath({ settings, network: { fetch: nowhere, connect: nowhere }, plugins: registry });
  const old = await compiled(empty, NO_TABLES, before, 'before');
  const fresh = await compiled(old.path, old.tables, after, 'after');
  return figuresOf(new Comparison(old.path, fresh.path), requests, list);
}

async function compiled(
  from: RequestPath,
  tables: Awaited<ReturnType<typeof readTables>>,
  { manifest, objects }: WholeConfig,
  which: 'before' | 'after',
) {
  const known = new Map<ObjectName, PackedObject>(objects.map((object) => [object.name, object]));
  const read = async (name: ObjectName, limit: number) => {
    const object = known.get(name);
    if (object === undefined) throw new RangeError(`no object ${name}`);
    return gunzip(object.gzip, limit);
  };
  try {
    const next = await readTables(manifest, tables, read);
    return { tables: next, path: from.update(changesBetween(tables, next)) };
  } catch (error) {
    throw new Error(`a data plane would refuse the config ${which}: ${messageOf(error)}`, { cause: error });
  }
}

/** Stands in the chain in a plugin's place. */
function standIn({ name, version, priority }: Pick<Plugin, 'name' | 'version' | 'priority'>): Plugin {
  return { name, version, priority, compile: () => ({}) };
}

function nowhere(): never {
  throw new Error('nothing is sent in a replay');
}

/** Nothing of it but the flavor decides what a request meets. */
const SETTINGS: Omit<ProxySettings, 'routerFlavor'> = {
  trustedIps: [],
  realIpHeader: 'X-Real-IP',
  realIpRecursive: false,
  headers: [],
  headersUpstream: [],
  allowDebugHeader: false,
  errorDefaultType: 'text/plain',
  clientBodyTimeout: 60_000,
  ports: { http: null, https: null },
};
