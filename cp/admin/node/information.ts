import { version as nodeVersion, pid } from 'node:process';
import { plugins } from '../../../shared/plugins/registry.ts';
import { KONG_VERSION } from '../../../shared/version.ts';
import type { Store } from '../../store/store.ts';
import { objectOf } from '../openapi/description.ts';
import type { AdminOptions } from '../options.ts';
import { ok } from '../reply.ts';
import type { AdminRoute } from '../route.ts';
import { describeConfiguration } from './configuration.ts';
import { activeTimers } from './timers.ts';

const DEFAULT_LOG_LEVEL = 'notice';

/**
 * `GET /`: what clients recognise a Kong node by. `holdfast` is our own addition. Clients of a workspace ask for
 * `/{workspace}/kong` instead.
 */
export function informationRoutes({ store, node, settings, plugins: enabled, log }: AdminOptions): AdminRoute[] {
  const bundled = [...plugins.values()].filter(({ name }) => enabled?.has(name) ?? true);
  const configured = pluginsInUse(store);
  return ['/', '/kong'].map((path) => ({
    path,
    methods: {
      GET: {
        describe: {
          summary: 'What this node is: version, plugins, configuration',
          tag: 'information',
          success: {
            status: 200,
            schema: objectOf({
              version: { type: 'string' },
              edition: { type: 'string' },
              tagline: { type: 'string' },
              hostname: { type: 'string' },
              node_id: { type: 'string' },
              plugins: { type: 'object' },
              configuration: { type: 'object' },
              timers: { type: 'object' },
              pids: { type: 'object' },
              lua_version: { type: 'string' },
              holdfast: objectOf({ version: { type: 'string' }, node: { type: 'string' } }),
            }),
          },
        },
        async handle() {
          const { running, pending } = activeTimers();
          const available = Object.fromEntries(
            [...bundled, ...(await store.luaPlugins.all())].map(({ name, version, priority }) => [
              name,
              { version, priority },
            ]),
          );
          return ok({
            tagline: 'Welcome to kong',
            version: KONG_VERSION,
            edition: 'community',
            hostname: node.hostname,
            node_id: node.id,
            lua_version: `Node.js ${nodeVersion}`,
            plugins: { available_on_server: available, enabled_in_cluster: await configured() },
            configuration: describeConfiguration(settings, log.level?.get() ?? settings.log_level ?? DEFAULT_LOG_LEVEL),
            timers: { running, pending },
            pids: { master: pid, workers: [pid] },
            holdfast: { version: node.version, node: nodeVersion },
          });
        },
      },
    },
  }));
}

/** Names of the plugins some row configures, in all workspaces. Read again only when something was written. */
function pluginsInUse(store: Store): () => Promise<readonly string[]> {
  let known: { serial: number; names: readonly string[] } | undefined;
  return async () => {
    const serial = await store.changes.serial();
    if (known?.serial === serial) return known.names;
    const names = new Set<string>();
    const { rows } = await store.changes.snapshot(['plugins']);
    for await (const { row } of rows) names.add(String(row.name));
    known = { serial, names: [...names].sort() };
    return known.names;
  };
}
