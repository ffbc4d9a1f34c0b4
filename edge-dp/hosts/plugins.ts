import { plugins } from '../plugins/registry.ts';
import { loadOwnPlugins, type OwnPlugin } from './own-plugins.ts';

/** The plugins in hand for a data plane of this version. */
export interface DataPlanePlugins {
  /** Names of those that are part of this project. */
  readonly bundled: ReadonlySet<string>;
  /** Reads the operator's own. Throws `OwnPluginError`. */
  load(names: readonly string[], folder: string): Promise<readonly OwnPlugin[]>;
}

export const dataPlanePlugins: DataPlanePlugins = { bundled: new Set(plugins.keys()), load: loadOwnPlugins };
