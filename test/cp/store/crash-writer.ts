import { openStore, type StoreSettings } from '../../../cp/store/open.ts';

/**
 * Writes consumers until it is killed and prints the name of each once its write was acknowledged. Run by the crash tests
 * as a process of its own, with the settings and a prefix for the names as arguments.
 */
const [settings = '', round = ''] = process.argv.slice(2);

function isSettings(value: unknown): value is StoreSettings {
  return typeof value === 'object' && value !== null && 'database' in value;
}

const parsed: unknown = JSON.parse(settings);
if (!isSettings(parsed)) throw new Error('no settings');
const store = await openStore(parsed);
const here = await store.workspace('default');
if (here === null) throw new Error('no default workspace');
for (let count = 0; ; count++) {
  const username = `${round}-${count}`;
  await here.entity('consumers').insert({ username });
  process.stdout.write(`${username}\n`);
}
