import { parseArgs } from 'node:util';
import { provideLua } from '../shared/lua/provided.ts';
import { messageOf } from '../shared/thrown.ts';
import { type Command, CommandError, describeFailure, type Option } from './commands/command.ts';
import type { DataPlanePlugins } from './commands/enabled-plugins.ts';
import { COMMON_OPTIONS, type Commands, commandUsage, usage } from './commands/usage.ts';
import { luaModules } from './lua/modules.ts';
import { SettingsError } from './settings/load.ts';

/** By name, in the order help shows them. Each is read when it is asked for: what `start` is made of is of no use to `stop`. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () =>
    (await import('./commands/start.ts')).startCommand({
      start: async (kind, options) =>
        kind === 'node'
          ? (await import('../edge-dp/hosts/node/host.ts')).startNodeHost(options)
          : (await import('../edge-dp/hosts/workerd/host.ts')).startWorkerdHost(options),
      begin: async (options) => (await import('../edge-dp/hosts/node/begin-host.ts')).beginNodeHost(options),
      identity: async (prefix, given) =>
        (await import('../edge-dp/hosts/node-identity.ts')).nodeIdentity(prefix, given),
      plugins: dataPlanePlugins,
    }),
  dev: async () =>
    withPluginLua(
      (await import('./commands/dev.ts')).devCommand({
        start: async (options) => (await import('../edge-dp/hosts/miniflare/host.ts')).startMiniflareHost(options),
        identity: async (prefix, given) =>
          (await import('../edge-dp/hosts/node-identity.ts')).nodeIdentity(prefix, given),
        plugins: dataPlanePlugins,
      }),
    ),
  stop: async () => (await import('./commands/stop.ts')).stop,
  quit: async () => (await import('./commands/stop.ts')).quit,
  drain: async () => (await import('./commands/drain.ts')).drain,
  restart: async () => (await import('./commands/restart.ts')).restart,
  reload: async () => (await import('./commands/reload.ts')).reload,
  health: async () => (await import('./commands/health.ts')).health,
  prepare: async () => (await import('./commands/prepare.ts')).prepare,
  check: async () => (await import('./commands/check.ts')).checkCommand(dataPlanePlugins),
  config: async () =>
    withPluginLua(
      (await import('./commands/config.ts')).configCommand(dataPlanePlugins, async (replay) =>
        (await import('../edge-dp/hosts/replay-configs.ts')).replayConfigs(replay),
      ),
    ),
  migrations: async () => (await import('./commands/migrations.ts')).migrations,
  hybrid: async () => (await import('./commands/hybrid.ts')).hybrid,
  keys: async () => (await import('./commands/keys.ts')).keys,
  release: async () => (await import('./commands/release.ts')).release,
  worker: async () =>
    (await import('./commands/worker.ts')).workerCommand(dataPlanePlugins, async (choice, folder) =>
      (await import('../edge-dp/hosts/write-worker.ts')).writeWorker(choice, folder),
    ),
  edge: async () =>
    (await import('./commands/edge.ts')).edgeCommand({
      plugins: dataPlanePlugins,
      write: async (choice, folder) => (await import('../edge-dp/hosts/write-worker.ts')).writeWorker(choice, folder),
      settings: async (options, nodeId) =>
        (await import('../edge-dp/hosts/edge-settings.ts')).edgeSettings(options, nodeId),
      compatibility: async () => (await import('../edge-dp/hosts/edge-settings.ts')).COMPATIBILITY,
    }),
  vault: async () => (await import('./commands/vault.ts')).vault,
  completion: async () => (await import('./commands/completion.ts')).completionCommand(all),
  version: async () => (await import('./commands/version.ts')).version,
};

async function all(): Promise<Commands> {
  return Object.fromEntries(
    await Promise.all(Object.entries(commands).map(async ([name, read]) => [name, await read()] as const)),
  );
}

/** What `check`, `start` and others know of the plugins that data planes run; from then on, those in Lua can be checked. */
async function dataPlanePlugins(): Promise<DataPlanePlugins> {
  await providePluginLua();
  return (await import('../edge-dp/hosts/plugins.ts')).dataPlanePlugins;
}

/** A command that may meet plugins in Lua, which are checked by what runs them. */
function withPluginLua(command: Command): Command {
  return {
    ...command,
    async run(invocation) {
      await providePluginLua();
      await command.run(invocation);
    },
  };
}

async function providePluginLua(): Promise<void> {
  (await import('../edge-dp/hosts/plugin-lua.ts')).provideDataPlaneLua();
}

async function main(argv: readonly string[]): Promise<void> {
  const name = nameIn(argv);
  if (name === 'help') {
    process.stdout.write(usage(await all()));
    return;
  }
  const read = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (read === undefined) throw new CommandError(`unknown command '${name}'\n\n${usage(await all())}`, 2);
  const command = await read();
  const { values, words } = parse(name, command, argv);
  if (values.help === true) {
    process.stdout.write(commandUsage(name, command));
    return;
  }
  // A reader that has seen enough (`| head`) ends a listing, but not a running gateway.
  process.stdout.on('error', () => name === 'start' || name === 'dev' || process.exit(0));
  // Nor does a log that nobody reads any more (a closed terminal, `2>&1 | head`).
  process.stderr.on('error', () => {});
  const { conf, prefix, ...options } = values;
  await command.run({
    words,
    conf: typeof conf === 'string' ? conf : undefined,
    prefix: typeof prefix === 'string' ? prefix : undefined,
    options,
  });
}

/** The first word that is no option, nor the value of one that every command takes. */
function nameIn(argv: readonly string[]): string {
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? '';
    if (/^(?:-[cp]|--conf|--prefix)$/.test(word)) index++;
    else if (!word.startsWith('-')) return word;
  }
  return argv.some((word) => word === '-v' || word === '--version') ? 'version' : 'help';
}

/** With words that begin with a hyphen behind all options, and told from them, unless that was done by hand. */
function wordsLast(argv: readonly string[], { words }: Command): string[] {
  if (words === undefined || argv.includes('--')) return [...argv];
  const isWord = (arg: string): boolean => arg.startsWith('-') && words.test(arg);
  return [...argv.filter((arg) => !isWord(arg)), '--', ...argv.filter(isWord)];
}

function parse(name: string, command: Command, argv: readonly string[]) {
  const options: Record<string, { type: 'boolean' | 'string'; short?: string }> =
    name === 'version' ? { version: { type: 'boolean', short: 'v' } } : {};
  for (const [option, { takes, short }] of Object.entries<Option>({ ...command.options, ...COMMON_OPTIONS })) {
    options[option] = { type: takes === undefined ? 'boolean' : 'string', ...(short === undefined ? {} : { short }) };
  }
  try {
    const { values, positionals } = parseArgs({ args: wordsLast(argv, command), allowPositionals: true, options });
    // None may be given several times, so none is a list.
    return { values: values as Readonly<Record<string, string | boolean | undefined>>, words: positionals.slice(1) };
  } catch (error) {
    throw new CommandError(`${messageOf(error)}\n\n${commandUsage(name, command)}`, 2);
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
