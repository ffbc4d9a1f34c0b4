import { resolve } from 'node:path';
import { makePrefix } from '../instance/prefix.ts';
import { closeToOthers, openFilesNotices } from '../instance/private-files.ts';
import { ensureSelfSignedPair } from '../listeners/listener-pair.ts';
import { ensureClusterFiles } from '../pki/gen-cert.ts';
import type { Settings } from '../settings/properties.ts';
import { type Command, settingsFor } from './command.ts';

/** Makes what `start` makes in its folder before anything runs, for images and units that want it there first. */
export const prepare: Command = {
  summary: 'make the folder with its certificates and keys, without starting',
  examples: ['holdfast prepare --prefix /var/lib/holdfast'],
  async run(invocation) {
    const { settings, warnings } = settingsFor(invocation);
    const warn = (text: string) => void process.stderr.write(`warning: ${text}\n`);
    warnings.forEach(warn);
    await prepareFolder(settings, warn);
    process.stdout.write(`prepared ${resolve(settings.prefix)} for role ${settings.role}\n`);
  },
};

/** The prefix, closed to others, with the certificates that listeners and, in role `traditional`, the two planes need. */
export async function prepareFolder(settings: Settings, warn: (notice: string) => void): Promise<void> {
  const prefix = resolve(settings.prefix);
  makePrefix(prefix);
  openFilesNotices(prefix, closeToOthers(prefix)).forEach(warn);
  await ensureSelfSignedPair(settings);
  if (settings.role === 'traditional') await ensureClusterFiles(prefix);
}
