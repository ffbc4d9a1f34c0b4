#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { startNodeHost } from '../edge-dp/hosts/node/host.ts';
import { nodeIdentity } from '../edge-dp/hosts/node-identity.ts';
import { startWorkerdHost } from '../edge-dp/hosts/workerd/host.ts';
import { provideLua } from '../shared/lua/provided.ts';
import { messageOf } from '../shared/thrown.ts';
import { check } from './commands/check.ts';
import { CommandError, describeFailure, type Invocation } from './commands/command.ts';
import { config } from './commands/config.ts';
import type { DataPlanePlugins } from './commands/enabled-plugins.ts';
import { health } from './commands/health.ts';
import { hybrid } from './commands/hybrid.ts';
import { migrations } from './commands/migrations.ts';
import { reload } from './commands/reload.ts';
import { start } from './commands/start.ts';
import { version } from './commands/version.ts';
import { worker } from './commands/worker.ts';
import { luaModules } from './lua/modules.ts';
import { SettingsError } from './settings/load.ts';

const USAGE = `Usage: holdfast COMMAND [options]

  start                          run the role of the settings (default: control plane and a local data plane)
  reload                         have a running instance read settings, certificates and keys anew, without dropping a connection
  health                         say whether the instance of this prefix runs and serves
  check [CONF]                   check the settings and print those that are set
  config parse|import|export|init [FILE]
                                 declarative configuration (YAML or JSON; kong.yml)
  config check [FILE]            what data planes cannot honour of a file, or of the database
  migrations bootstrap|up|list|status
                                 the database's schema
  hybrid gen_cert [CERT KEY] [--dir DIR] [--days N]
                                 certificate pair of the cluster (good for N days, 1095 unless given) and the bundle signing key
  worker [DIR]                   bundle the data plane's Worker for Cloudflare, with the plugins of the settings (into ./build)
  version                        print the versions

Options:
  -c, --conf FILE                settings file (default: ./holdfast.conf, then /etc/holdfast/holdfast.conf)
  -p, --prefix DIR               folder of everything Holdfast keeps (default: .holdfast)
  -h, --help                     this text

Settings come from the file and from HOLDFAST_<NAME> (or KONG_<NAME>) in the environment.
`;

const commands: Readonly<Record<string, (invocation: Invocation) => Promise<void> | void>> = {
  start: withPluginLua((invocation) =>
    start(invocation, {
      start: (kind, options) => (kind === 'node' ? startNodeHost(options) : startWorkerdHost(options)),
      identity: nodeIdentity,
      plugins: dataPlanePlugins,
    }),
  ),
  reload,
  health,
  check: (invocation) => check(invocation, dataPlanePlugins),
  config: withPluginLua((invocation) => config(invocation, dataPlanePlugins)),
  migrations,
  hybrid,
  worker: async (invocation) => {
    const { writeWorker } = await import('../edge-dp/hosts/write-worker.ts');
    await worker(invocation, dataPlanePlugins, writeWorker);
  },
  version,
};

/** Read only by the commands that ask: it brings the code of all plugins. */
async function dataPlanePlugins(): Promise<DataPlanePlugins> {
  return (await import('../edge-dp/hosts/plugins.ts')).dataPlanePlugins;
}

/** A command that may meet plugins in Lua, which are checked by what runs them. */
function withPluginLua(command: (invocation: Invocation) => Promise<void>): (invocation: Invocation) => Promise<void> {
  return async (invocation) => {
    (await import('../edge-dp/hosts/plugin-lua.ts')).provideDataPlaneLua();
    await command(invocation);
  };
}

async function main(argv: readonly string[]): Promise<void> {
  const { values, positionals } = parse(argv);
  const { conf, prefix, help, version: versionFlag, ...options } = values;
  const [name = versionFlag ? 'version' : 'help', ...words] = positionals;
  if (help || name === 'help') {
    process.stdout.write(USAGE);
    return;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new CommandError(`unknown command '${name}'\n\n${USAGE}`, 2);
  // A reader that has seen enough (`| head`) ends a listing, but not a running gateway.
  process.stdout.on('error', () => name === 'start' || process.exit(0));
  // Nor does a log that nobody reads any more (a closed terminal, `2>&1 | head`).
  process.stderr.on('error', () => {});
  await command({ words, conf, prefix, options });
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        conf: { type: 'string', short: 'c' },
        prefix: { type: 'string', short: 'p' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
        dir: { type: 'string' },
        days: { type: 'string' },
      },
    });
  } catch (error) {
    throw new CommandError(`${messageOf(error)}\n\n${USAGE}`, 2);
  }
}

// Whatever is made from here on, by this process or one it starts, is its owner's alone.
process.umask(0o077);
provideLua(luaModules);
try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof SettingsError) {
    process.stderr.write(
      `holdfast: the settings do not work:\n${error.problems.map((line) => `  - ${line}\n`).join('')}`,
    );
    process.exitCode = 1;
  } else if (error instanceof CommandError) {
    process.stderr.write(`holdfast: ${error.message}\n`);
    process.exitCode = error.exitCode;
  } else {
    process.stderr.write(`holdfast: ${describeFailure(error)}\n`);
    process.exitCode = 1;
  }
}
