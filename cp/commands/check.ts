import { properties, type SettingName } from '../settings/properties.ts';
import { type Invocation, settingsFor } from './command.ts';
import { choosePlugins, type ReadDataPlanePlugins } from './enabled-plugins.ts';

/** `holdfast check [CONF]`: the settings as `start` would read them, or everything that is wrong with them. */
export async function check({ words, conf, prefix }: Invocation, ofDataPlane: ReadDataPlanePlugins): Promise<void> {
  const { settings, origins, warnings } = settingsFor({ conf: words[0] ?? conf, prefix });
  await choosePlugins(settings, ofDataPlane);
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
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
