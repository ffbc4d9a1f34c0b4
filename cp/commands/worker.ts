import { resolve } from 'node:path';
import { type Invocation, settingsFor } from './command.ts';
import { type ChosenPlugins, choosePlugins, type ReadDataPlanePlugins } from './enabled-plugins.ts';

/** Bundles the Worker with these plugins into a folder; resolves with the files' paths. */
export type WriteWorker = (choice: ChosenPlugins['choice'], folder: string) => Promise<readonly string[]>;

/** `holdfast worker [DIR]`: the data plane's Worker with the plugins of the settings, for `wrangler` to upload. */
export async function worker(
  { words, conf, prefix }: Invocation,
  ofDataPlane: ReadDataPlanePlugins,
  write: WriteWorker,
): Promise<void> {
  const { settings } = settingsFor({ conf, prefix });
  const { choice, runnable } = await choosePlugins(settings, ofDataPlane);
  const files = await write(choice, resolve(words[0] ?? 'build'));
  const own = choice.own.length === 0 ? '' : `, of your own: ${choice.own.map(({ name }) => name).join(', ')}`;
  process.stdout.write(`a Worker with ${runnable.size} plugins${own}\n${files.map((file) => `  ${file}\n`).join('')}`);
}
