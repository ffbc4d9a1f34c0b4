import { SettingsError } from '../settings/load.ts';
import { properties, type SettingName } from '../settings/properties.ts';
import { type Command, settingsFor } from './command.ts';
import { choosePlugins, type ReadDataPlanePlugins } from './enabled-plugins.ts';
import { readNamedFiles } from './named-files.ts';

/** The settings as `start` would read them, with the certificates and keys they name, or everything that is wrong with them. */
export function checkCommand(ofDataPlane: ReadDataPlanePlugins): Command {
  return {
    summary: 'check the settings and print those that are set',
    forms: { '[CONF]': 'the settings of this file, or of the one that start would read' },
    examples: ['holdfast check', 'holdfast check /etc/kong/kong.conf'],
    run: ({ words, conf, prefix }) => check({ conf: words[0] ?? conf, prefix }, ofDataPlane),
  };
}

async function check(sources: Parameters<typeof settingsFor>[0], ofDataPlane: ReadDataPlanePlugins): Promise<void> {
  const { settings, origins, warnings } = settingsFor(sources);
  const { problems, missing } = await readNamedFiles(settings);
  if (problems.length > 0) throw new SettingsError(problems);
  await choosePlugins(settings, ofDataPlane);
  for (const warning of [...warnings, ...missing]) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write(`settings are valid (role ${settings.role}, database ${settings.database})\n`);
  for (const [name, origin] of origins)
    process.stdout.write(
      `  ${name} = ${settings.references?.[name] ?? printable(name, settings[name])}  (${origin})\n`,
    );
}

function printable(name: SettingName, value: unknown): string {
  if (properties[name].secret) return '******';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
