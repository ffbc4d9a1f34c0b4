import { isReference } from '../../shared/vault-reference.ts';
import type { Env } from '../env.ts';
import { secretStore } from './secret-store.ts';
import { SecretValues } from './secret-values.ts';
import { sourceOf } from './sources.ts';

/** The text of one of the Worker's settings, or the secret it refers to in the vault `env`. Rejects with the reference where there is none. */
export async function settingSecret(env: Env, text: string): Promise<string> {
  if (!isReference(text)) return text;
  const source = sourceOf(text, new Map(), env.SETTINGS.vaultEnvPrefix ?? null);
  if (typeof source === 'string') throw new Error(`${text} cannot be resolved: ${source}`);
  const values = new SecretValues(secretStore(env));
  await values.read([source]);
  const { value, missing } = values.get(source);
  if (value === null) throw new Error(`${text} cannot be resolved: ${missing}`);
  return value;
}
