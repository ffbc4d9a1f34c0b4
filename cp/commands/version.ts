import packageJson from '../../package.json' with { type: 'json' };
import { KONG_VERSION } from '../../shared/version.ts';
import { VERSION } from '../instance/version.ts';
import type { Command } from './command.ts';

/** Versions: the gateway's own, and with `--all` of what it is made of. */
export const version: Command = {
  summary: 'print the version',
  options: { all: { short: 'a', text: 'print the versions of the parts too' } },
  examples: ['holdfast version', 'holdfast version --all'],
  run({ options }) {
    process.stdout.write(`Holdfast ${VERSION} (Admin API of Kong ${KONG_VERSION}), Node ${process.version}\n`);
    if (options.all !== true) return;
    const { v8, openssl } = process.versions;
    for (const [part, is] of Object.entries({ v8, openssl, ...packageJson.dependencies })) {
      process.stdout.write(`${part}: ${is}\n`);
    }
  },
};
