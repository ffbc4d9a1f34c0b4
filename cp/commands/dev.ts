import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import packageFile from '../../package.json' with { type: 'json' };
import { recordOrEmpty } from '../../shared/record.ts';
import { type ControlPlane, startControlPlane } from '../control-plane.ts';
import { InstanceNote, NO_RELOADS } from '../instance/instance.ts';
import { createLog, type Log } from '../instance/log.ts';
import type { LogLevel } from '../instance/log-levels.ts';
import { VERSION } from '../instance/version.ts';
import { requireFree } from '../listeners/free-port.ts';
import { certificatesInUse } from '../pki/certificate-dates.ts';
import { clusterFiles } from '../pki/gen-cert.ts';
import { localUrl } from '../settings/addresses.ts';
import { takesLuaPlugins } from '../settings/lua-plugins.ts';
import type { Settings } from '../settings/properties.ts';
import { schemasFor } from '../store/schemas.ts';
import { type Command, CommandError, describeFailure, type Invocation } from './command.ts';
import { parseConfigText, readConfigText } from './config-file.ts';
import { dataPlaneOptions } from './data-plane-options.ts';
import { devSettings } from './dev-settings.ts';
import { type ChosenPlugins, choosePlugins, type ReadDataPlanePlugins } from './enabled-plugins.ts';
import { followConfigFile } from './followed-config.ts';
import { requireNoOther } from './only-one.ts';
import { prepareFolder } from './prepare.ts';
import { instanceAdmin } from './running-admin.ts';
import { listenForSignals } from './signals.ts';
import { addressRows, addressTable, type DataPlaneAddresses, developmentNote } from './start-output.ts';
import { outliveUnhandled } from './unhandled.ts';

type DevOptions = Omit<Awaited<ReturnType<typeof dataPlaneOptions>>, 'log'> & {
  readonly log: (level: LogLevel, message: string) => void;
};

/** What `cp/cli.ts` hands in from the data plane's side. */
interface DevHost {
  /** A data plane on Miniflare, which is not installed with everything else. */
  start(options: DevOptions): Promise<DataPlaneAddresses & { stop(): Promise<void> }>;
  /** The id of the node whose folder this is. */
  identity(prefix: string, given: string | null): Promise<string>;
  readonly plugins: ReadDataPlanePlugins;
}

/** Looked for in this order where no file is named. */
const DEFAULT_FILES = ['kong.yml', 'kong.yaml', 'kong.json'] as const;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Milliseconds this process gets to end by itself. */
const LINGERING = 2_000;

/** A line for each request; nginx's notation. */
const REQUEST_LINE =
  '$request_method $request_uri $status $request_time route=$route_name service=$service_name consumer=$consumer_name upstream=$upstream_addr';

/** Both planes on this machine, for whoever writes a config. */
export function devCommand(host: DevHost): Command {
  return {
    summary: 'run both planes to write a config by: a file is served as it is saved, each request is a line here',
    forms: {
      '': `serve ${DEFAULT_FILES[0]} of this folder; where there is none, what the Admin API is told`,
      '[FILE]': 'serve this file (YAML or JSON)',
    },
    options: {
      wrangler: {
        text: "let a Worker under 'wrangler dev' link, too: cluster_dev_listen at 127.0.0.1:8007, where it is not set; see 'holdfast edge init --dev'",
      },
    },
    examples: [
      'holdfast dev',
      'holdfast dev gateway/kong.yml',
      'holdfast dev --wrangler',
      'HOLDFAST_PROXY_LISTEN=127.0.0.1:9000 holdfast dev',
    ],
    run: (invocation) => dev(invocation, host),
  };
}

/** Runs until it is told to stop; then nothing is waited for. */
async function dev(invocation: Invocation, host: DevHost): Promise<void> {
  const file = configFile(invocation.words[0]);
  const { settings, ownAccessLog, warnings } = await devSettings(invocation, file);
  const log = createLog(settings.log_level, undefined, settings.log_format);
  for (const warning of warnings) log('warn', warning);
  outliveUnhandled(log);
  const signals = listenForSignals(log);
  const note = new InstanceNote(resolve(settings.prefix), log);
  let controlPlane: ControlPlane | null = null;
  let dataPlane: Awaited<ReturnType<DevHost['start']>> | null = null;
  let unfollow = () => {};
  try {
    requireNoOther(resolve(settings.prefix));
    await prepareFolder(settings, (notice) => log('warn', notice));
    const plugins = await choosePlugins(settings, host.plugins);
    const text = file === null ? '' : readConfigText(file);
    if (file !== null) {
      const schemas = schemasFor(settings.router_flavor, await plugins.enabled(), takesLuaPlugins(settings));
      await parseConfigText(text, shown(file), schemas);
    }
    // One that has config of an earlier run would serve that until it hears of the file.
    const first = file !== null && !existsSync(dataPlaneFolder(settings));
    const options = await devDataPlane(settings, ownAccessLog, log, plugins);
    // It has nobody to link with yet, and is to say so to nobody.
    const quiet = { ...options, log: untilThen(options.log, () => controlPlane !== null) };
    if (first) {
      dataPlane = await started(host, quiet);
      process.stdout.write(servingBlock(file, dataPlane));
    }
    const { node_id: given } = settings;
    const id = given ?? (await host.identity(resolve(settings.prefix), null));
    controlPlane = await startControlPlane(settings, id, log, await plugins.enabled());
    if (given !== null) await host.identity(resolve(settings.prefix), given);
    dataPlane ??= await started(host, options);
    note.write({
      pid: process.pid,
      role: settings.role,
      certificates: certificatesInUse(settings),
      reloads: NO_RELOADS,
      ...(controlPlane.admin[0] ? { admin: localUrl(controlPlane.admin[0]) } : {}),
      ...(dataPlane.statusAddresses[0] ? { status: localUrl(dataPlane.statusAddresses[0]) } : {}),
      ...developmentNote(controlPlane),
    });
    const admin = instanceAdmin(settings, 'dev');
    await admin?.ask('/wait?timeout=60');
    if (file !== null && admin !== null) unfollow = followConfigFile(file, text, admin, log.part('dev'));
    process.stdout.write(readyBlock(file, settings, controlPlane, dataPlane));
    await signals.stop;
  } catch (error) {
    throw error instanceof CommandError ? error : new CommandError(`cannot start: ${describeFailure(error)}`);
  } finally {
    unfollow();
    note.stopping();
    await dataPlane?.stop();
    await controlPlane?.drain(0);
    await controlPlane?.stop();
    note.remove();
    // Of a Miniflare that did not start something may stay.
    setTimeout(() => process.exit(), LINGERING).unref();
  }
}

function configFile(given: string | undefined): string | null {
  const found = given ?? DEFAULT_FILES.find((name) => existsSync(name));
  return found === undefined ? null : resolve(found);
}

async function started(host: DevHost, options: DevOptions) {
  for (const address of options.proxyListen) await requireFree('proxy_listen', address);
  for (const address of options.statusListen) await requireFree('status_listen', address);
  const ownListeners = new Map(SIGNALS.map((name) => [name, process.listeners(name)]));
  try {
    const dataPlane = await host.start(options);
    // Miniflare would end this process with the first signal, before anything is put away.
    for (const [name, own] of ownListeners) {
      for (const each of process.listeners(name)) if (!own.includes(each)) process.removeListener(name, each);
    }
    return dataPlane;
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
    if (!missing || !error.message.includes("'miniflare'")) throw error;
    const { peerDependencies, devDependencies } = recordOrEmpty(packageFile);
    const version = recordOrEmpty(peerDependencies ?? devDependencies).miniflare;
    throw new CommandError(
      `'holdfast dev' runs the data plane on Miniflare: npm install --save-dev miniflare@${version}`,
    );
  }
}

/** A log whose warnings are details until `then`. */
function untilThen(log: DevOptions['log'], then: () => boolean): DevOptions['log'] {
  return (level, message) => log(level === 'warn' && !then() ? 'info' : level, message);
}

function dataPlaneFolder({ prefix }: Settings): string {
  return join(resolve(prefix), 'data-plane');
}

/** Of a data plane with the file at hand, which serves before its control plane does. */
async function devDataPlane(
  settings: Settings,
  ownAccessLog: boolean,
  log: Log,
  plugins: Pick<ChosenPlugins, 'runnable' | 'choice'>,
): Promise<DevOptions> {
  const { cert, key, trustedKeys } = clusterFiles(resolve(settings.prefix));
  const options = await dataPlaneOptions(
    {
      ...settings,
      role: 'data_plane',
      prefix: dataPlaneFolder(settings),
      cluster_control_plane: settings.cluster_listen,
      cluster_cert: cert,
      cluster_cert_key: key,
      bundle_trusted_keys: trustedKeys,
    },
    log,
    plugins,
  );
  if (ownAccessLog) return options;
  const accessLog = { path: '/dev/stdout', format: { escape: 'default' as const, text: REQUEST_LINE } };
  return { ...options, proxy: { ...options.proxy, accessLog } };
}

function servingBlock(file: string, { proxyAddresses }: DataPlaneAddresses): string {
  return `Serving ${shown(file)} at ${proxyAddresses.map(localUrl).join(', ')}; the Admin API follows …\n`;
}

function readyBlock(
  file: string | null,
  settings: Settings,
  controlPlane: ControlPlane,
  dataPlane: DataPlaneAddresses,
): string {
  const rows = addressRows(settings, controlPlane, dataPlane).map(([name, value]) => {
    const toRead = name === 'Admin API' && file !== null;
    return [name, toRead ? `${value} (to read: the file is the config)` : value] as const;
  });
  const what =
    file === null
      ? `there is no ${DEFAULT_FILES[0]} here, so config comes through the Admin API; 'holdfast config init' makes a file to begin with`
      : `${shown(file)} is served as it is saved`;
  return `Holdfast ${VERSION} dev is ready: ${what}\n${addressTable([...rows, ['Files', resolve(settings.prefix)]])}`;
}

function shown(file: string): string {
  const short = relative('', file);
  return short.startsWith('..') ? file : short;
}
