import type { PluginSchema } from '../../shared/schema/vocabulary.ts';
import type { Settings } from '../settings/properties.ts';
import { CommandError } from './command.ts';

/** What `cp/cli.ts` hands in from the data plane's side. */
export interface DataPlanePlugins {
  /** Names of the plugins that the data plane of this version runs. */
  readonly bundled: ReadonlySet<string>;
  /** Reads plugins of the operator's own from a folder: their schemas, and the paths of their handlers. */
  load(
    names: readonly string[],
    folder: string,
  ): Promise<readonly { readonly schema: PluginSchema; readonly handler: string }[]>;
}

/** Read only by the commands that ask. */
export type ReadDataPlanePlugins = () => Promise<DataPlanePlugins>;

/** What the settings `plugins` and `plugins_dir` come to. */
export interface ChosenPlugins {
  /**
   * Those that can be configured where a data plane of these very settings serves the config; null, all that are known, on a control
   * plane alone, whose data planes say themselves what they have.
   */
  enabled(): Promise<ReadonlySet<string> | null>;
  /** Those that a data plane of these settings runs. */
  runnable(): Promise<ReadonlySet<string>>;
  /** The same for whoever makes the Worker: bundled ones by name (null: all), and the operator's own. */
  readonly choice: {
    readonly bundled: readonly string[] | null;
    readonly own: readonly { readonly name: string; readonly handler: string }[];
  };
}

/** Reads the operator's own plugins and adds them to those that are known. Throws what is wrong with one, or with its name. */
export async function choosePlugins(
  { role, plugins, plugins_dir: folder }: Pick<Settings, 'role' | 'plugins' | 'plugins_dir'>,
  read: ReadDataPlanePlugins,
): Promise<ChosenPlugins> {
  if (plugins.length > 0 && plugins.every((name) => name === 'bundled')) {
    // What they are is read by whoever has something to check.
    const runnable = async () => (await read()).bundled;
    return {
      enabled: role === 'control_plane' ? async () => null : runnable,
      runnable,
      choice: { bundled: null, own: [] },
    };
  }
  const ofDataPlane = await read();
  const { addPlugins, bundledPlugins } = await import('../../shared/plugins/registry.ts');
  const all = plugins.includes('bundled');
  const listed = plugins.filter((name) => bundledPlugins.has(name));
  const names = [...new Set(plugins.filter((name) => name !== 'bundled' && !bundledPlugins.has(name)))];
  const [first] = names;
  if (first !== undefined && folder === null) {
    throw new CommandError(
      `plugins: '${first}' is no bundled plugin; plugins_dir is to be the folder that has plugins of your own`,
    );
  }
  const own = first === undefined || folder === null ? [] : await ofDataPlane.load(names, folder);
  addPlugins(own.map(({ schema }) => schema));
  const runnable = new Set([...ofDataPlane.bundled].filter((name) => all || listed.includes(name)).concat(names));
  const alone = all ? null : new Set([...listed, ...names]);
  return {
    enabled: async () => (role === 'control_plane' ? alone : runnable),
    runnable: async () => runnable,
    choice: {
      bundled: all ? null : listed,
      own: own.map(({ schema, handler }) => ({ name: schema.name, handler })),
    },
  };
}
