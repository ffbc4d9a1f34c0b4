import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { messageOf } from '../../shared/thrown.ts';
import { environmentVariable, isReference, parseReference, secretPart } from '../../shared/vault-reference.ts';

/** The variables that settings may refer to, and what their names begin with (`vault_env_file`, `vault_env_prefix`). */
export interface SettingSecrets {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly prefix: string | null;
}

/** Those of this process and of the file, which wins. Throws, naming the file, when that cannot be read. */
export function settingSecrets(
  environment: Readonly<Record<string, string | undefined>>,
  file: string | null,
  prefix: string | null,
): SettingSecrets {
  if (file === null) return { variables: environment, prefix };
  try {
    return { variables: { ...environment, ...parseEnv(readFileSync(file, 'utf8')) }, prefix };
  } catch (error) {
    throw new Error(`vault_env_file = '${file}' cannot be read: ${messageOf(error)}`);
  }
}

/** Whether the text of a setting, or an item of a list, is a reference to a vault. */
export function hasReferences(text: string): boolean {
  return text.includes('{vault://') && itemsOf(text).some((item) => isReference(item.trim()));
}

/** The text with secrets in place of references, or why one leads nowhere; as in Kong, settings know the `env` vault alone. */
export function withSettingSecrets(
  text: string,
  secrets: SettingSecrets,
): { readonly value: string } | { readonly problem: string } {
  const values: string[] = [];
  for (const item of itemsOf(text)) {
    if (!isReference(item.trim())) {
      values.push(item);
      continue;
    }
    const read = secretOf(item.trim(), secrets);
    if ('problem' in read) return read;
    values.push(read.value);
  }
  return { value: values.join(',') };
}

function itemsOf(text: string): readonly string[] {
  return isReference(text) && !/\},\s*\{/.test(text) ? [text] : text.split(',');
}

function secretOf(
  text: string,
  { variables, prefix }: SettingSecrets,
): { readonly value: string } | { readonly problem: string } {
  const reference = parseReference(text);
  if (reference === null) return { problem: 'it names no secret' };
  if (reference.vault !== 'env') return { problem: `settings can refer to the vault 'env' alone` };
  const name = environmentVariable(reference, reference.options.prefix ?? prefix);
  const whole = Object.hasOwn(variables, name) ? variables[name] : undefined;
  if (whole === undefined) return { problem: `the variable ${name} is not set` };
  const read = secretPart(whole, reference.key);
  return 'value' in read ? read : { problem: `${name}: ${read.problem}` };
}
