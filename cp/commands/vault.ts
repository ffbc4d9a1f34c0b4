import { type Row, recordOrEmpty } from '../../shared/record.ts';
import { environmentVariable, parseReference, referenceProblem, secretPart } from '../../shared/vault-reference.ts';
import type { Settings } from '../settings/properties.ts';
import { settingSecrets } from '../settings/references.ts';
import { type Command, CommandError, settingsFor, unknownAction } from './command.ts';
import { runningAdmin } from './running-admin.ts';
import { openOwnStore } from './stores.ts';

/** What a vault reference comes to on this node, whose environment it is read from. */
export const vault: Command = {
  summary: 'print what a vault reference comes to on this node',
  forms: {
    'get REFERENCE': 'the secret of {vault://env/name}, or short: env/name, or the prefix of a vault of the database',
  },
  examples: ["holdfast vault get '{vault://env/my-secret}'", 'holdfast vault get env/my-secret/password'],
  async run(invocation) {
    const [action = '', given = ''] = invocation.words;
    if (action !== 'get') throw unknownAction('vault', ['get'], action);
    const text = given.startsWith('{vault://') ? given : `{vault://${given}}`;
    const reference = parseReference(text);
    if (reference === null) throw new CommandError(referenceProblem(text) ?? `no reference: ${text}`, 2);
    const { settings } = settingsFor(invocation);
    const { variables, prefix } = settingSecrets(process.env, settings.vault_env_file, settings.vault_env_prefix);
    const ofVault = reference.vault === 'env' ? prefix : await prefixOf(settings, reference.vault);
    const name = environmentVariable(reference, reference.options.prefix ?? ofVault);
    const whole = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (whole === undefined)
      throw new CommandError(`could not get value from external vault (the variable ${name} is not set)`);
    const secret = secretPart(whole, reference.key);
    if ('problem' in secret)
      throw new CommandError(`could not get value from external vault (${name}: ${secret.problem})`);
    process.stdout.write(`${secret.value}\n`);
  },
};

/** What the variables of a vault entity begin with. Throws `CommandError` where there is no such entity. */
async function prefixOf(settings: Settings, vault: string): Promise<string | null> {
  const admin = runningAdmin(settings, 'vault get');
  const row = admin === null ? await stored(settings, vault) : recordOrEmpty(JSON.parse(await asked(admin.ask, vault)));
  const { prefix } = recordOrEmpty(row.config);
  return typeof prefix === 'string' ? prefix : null;
}

function asked(ask: (path: string) => Promise<string>, vault: string): Promise<string> {
  return ask(`/vaults/${encodeURIComponent(vault)}`).catch((error: unknown) => {
    throw error instanceof CommandError && error.message === 'Not found' ? notThere(vault) : error;
  });
}

async function stored(settings: Settings, vault: string): Promise<Row> {
  const store = await openOwnStore(settings);
  try {
    const workspace = await store.workspace('default');
    const row = await workspace?.entity('vaults').select({ field: 'prefix', value: vault });
    if (!row) throw notThere(vault);
    return row;
  } finally {
    await store.close();
  }
}

function notThere(vault: string): CommandError {
  return new CommandError(`could not find vault (${vault})`);
}
