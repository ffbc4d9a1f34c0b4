import { resolve } from 'node:path';
import { type Command, settingsFor } from './command.ts';
import { type ChosenPlugins, choosePlugins, type ReadDataPlanePlugins } from './enabled-plugins.ts';

/** Bundles the Worker with these plugins into a folder; resolves with the files' paths. */
type WriteWorker = (choice: ChosenPlugins['choice'], folder: string) => Promise<readonly string[]>;

/** The data plane's Worker with the plugins of the settings, for `wrangler` to upload. */
export function workerCommand(ofDataPlane: ReadDataPlanePlugins, write: WriteWorker): Command {
  return {
    summary: "bundle the data plane's Worker for Cloudflare, with the plugins of the settings",
    forms: { '[DIR]': 'into this folder (default: ./build)' },
    examples: [
      'holdfast worker',
      'HOLDFAST_PLUGINS=bundled,my-plugin HOLDFAST_PLUGINS_DIR=plugins holdfast worker build',
    ],
    async run({ words, conf, prefix }) {
      const { settings } = settingsFor({ conf, prefix });
      const { choice, runnable } = await choosePlugins(settings, ofDataPlane);
      const files = await write(choice, resolve(words[0] ?? 'build'));
      const { size } = await runnable();
      const own = choice.own.length === 0 ? '' : `, of your own: ${choice.own.map(({ name }) => name).join(', ')}`;
      process.stdout.write(`a Worker with ${size} plugins${own}\n${files.map((file) => `  ${file}\n`).join('')}`);
    },
  };
}
