import { bundledPlugins } from '../../shared/plugins/registry.ts';
import type { OwnPlugin } from './own-plugins.ts';

/** The plugins in hand for a data plane of this version. */
export interface DataPlanePlugins {
  /** Names of those that are part of this project. */
  readonly bundled: ReadonlySet<string>;
  /** Reads the operator's own. Throws `OwnPluginError`. */
  load(names: readonly string[], folder: string): Promise<readonly OwnPlugin[]>;
}

/** By their names alone: `edge-dp/plugins/registry.ts` has the same, but brings the code of all. */
export const dataPlanePlugins: DataPlanePlugins = {
  bundled: bundledPlugins,
  load: async (names, folder) => (await import('./own-plugins.ts')).loadOwnPlugins(names, folder),
};
