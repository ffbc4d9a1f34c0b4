import { loadSettings } from '../settings/load.ts';
import { properties, type SettingName } from '../settings/properties.ts';
import type { Invocation } from './command.ts';

/** `holdfast check [CONF]`: the settings as `start` would read them, or everything that is wrong with them. */
export function check({ words, conf, prefix }: Invocation): void {
  const { settings, origins, warnings } = loadSettings({
    conf: words[0] ?? conf,
    environment: process.env,
    overrides: prefix === undefined ? {} : { prefix },
  });
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write(`settings are valid (role ${settings.role}, database ${settings.database})\n`);
  for (const [name, origin] of origins)
    process.stdout.write(`  ${name} = ${printable(name, settings[name])}  (${origin})\n`);
}

function printable(name: SettingName, value: unknown): string {
  if (properties[name].secret) return '******';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
