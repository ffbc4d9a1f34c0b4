import { resolve } from 'node:path';
import { createLog, type Log } from '../instance/log.ts';
import { makePrefix } from '../instance/prefix.ts';
import type { Settings } from '../settings/properties.ts';
import { type Command, type Invocation, settingsFor } from './command.ts';
import { dataPlaneAddresses, dataPlaneOutput } from './data-plane-addresses.ts';
import type { dataPlaneOptions } from './data-plane-options.ts';
import type { ReadDataPlanePlugins } from './enabled-plugins.ts';
import { listenForSignals } from './signals.ts';
import type { DataPlaneAddresses } from './start-output.ts';

type Options = Awaited<ReturnType<typeof dataPlaneOptions>>;

/** What `start` needs of a data plane; `edge-dp/hosts` has more to it. */
export interface DataPlane extends DataPlaneAddresses {
  reload(options: Options): Promise<void>;
  stop(drain?: number): Promise<void>;
}

/** A data plane that has its prefix and its ports, and is not told yet what it serves. Where its start fails nothing is left of it. */
export interface BegunDataPlane {
  start(options: Options): Promise<DataPlane>;
  end(): Promise<void>;
}

/** What `cp/cli.ts` hands in from the data plane's side. */
export interface DataPlaneHost {
  start(kind: Settings['data_plane_host'], options: Options): Promise<DataPlane>;
  /** Of a data plane on Node. */
  begin(options: ReturnType<typeof dataPlaneAddresses> & Pick<Options, 'log' | 'output'>): Promise<BegunDataPlane>;
  readonly plugins: ReadDataPlanePlugins;
  /** The id of the node whose folder this is. */
  identity(prefix: string, given: string | null): Promise<string>;
}

/** The main job, here or in the background. */
export function startCommand(host: DataPlaneHost): Command {
  return {
    summary: 'run the role of the settings (default: control plane and a local data plane)',
    options: {
      detach: { short: 'd', text: 'in the background, once it serves; its log is holdfast.log in the prefix' },
    },
    examples: [
      'holdfast start',
      'holdfast start --conf /etc/holdfast/holdfast.conf',
      'holdfast start --detach && holdfast stop',
    ],
    run: async (invocation) =>
      invocation.options.detach === true
        ? (await import('./detached.ts')).startDetached(invocation)
        : start(invocation, host),
  };
}

async function start(invocation: Invocation, host: DataPlaneHost): Promise<void> {
  const loaded = settingsFor(invocation);
  const log = createLog(loaded.settings.log_level, undefined, loaded.settings.log_format);
  // Before anything is begun: what a signal does by default would end this process in the middle of it.
  const signals = listenForSignals(log);
  // What serves takes longest to be there: it comes first, and all else is read meanwhile.
  const begun = await begin(loaded.settings, log, host);
  const { run } = await import('./run.ts');
  await run(invocation, loaded, log, { host, begun, signals });
}

/** Null: what it serves on is known later, or it is on a host that cannot be begun. */
async function begin(
  settings: Settings,
  log: Log,
  host: DataPlaneHost,
): Promise<PromiseSettledResult<BegunDataPlane> | null> {
  if (settings.role !== 'data_plane' || settings.data_plane_host !== 'node') return null;
  const begun = async () => {
    makePrefix(resolve(settings.prefix));
    return host.begin({ ...dataPlaneAddresses(settings), ...dataPlaneOutput(log) });
  };
  const [outcome] = await Promise.allSettled([begun()]);
  return outcome;
}
