import { plugins } from '../plugins/registry.ts';

/** Names of the plugins that the data plane of this version runs, whatever the host. */
export const dataPlanePlugins: ReadonlySet<string> = new Set(plugins.keys());
