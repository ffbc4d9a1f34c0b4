import { isRecord } from '../../shared/record.ts';
import type { Env } from '../env.ts';
import { askProcess } from '../proxy/egress/ask.ts';

/** Where a host keeps secrets by the names of variables. */
export interface SecretStore {
  /** Those that are there. Throws when the store cannot be read. */
  read(names: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/** On own boxes the egress process's environment; elsewhere the Worker's own secrets, variables and Secrets Store bindings. */
export function secretStore(env: Env): SecretStore {
  return env.EGRESS === undefined ? { read: (names) => boundSecrets(env, names) } : throughEgress(env.EGRESS);
}

async function boundSecrets(env: Env, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const name of names) {
    const binding: unknown = Reflect.get(env, name);
    const value: unknown = isSecretBinding(binding) ? await binding.get() : binding;
    if (typeof value === 'string') found.set(name, value);
  }
  return found;
}

/** Of Cloudflare's Secrets Store; a KV namespace has a `get` too, but more besides. */
function isSecretBinding(binding: unknown): binding is { get(): Promise<unknown> } {
  if (typeof binding !== 'object' || binding === null) return false;
  return typeof Reflect.get(binding, 'get') === 'function' && Reflect.get(binding, 'put') === undefined;
}

/** Milliseconds; the process answers from memory. */
const TIMEOUT = 5_000;

function throughEgress(egress: Pick<Fetcher, 'fetch'>): SecretStore {
  return {
    async read(names) {
      const asked = await Promise.race([askProcess(egress, 'secrets', JSON.stringify(names)), tooLate()]);
      if (asked.failure !== null) throw new Error(asked.failure.message);
      const entries = isRecord(asked.answer) ? Object.entries(asked.answer) : [];
      return new Map(entries.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])));
    },
  };
}

async function tooLate(): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, TIMEOUT));
  throw new Error(`the egress process has not answered for ${TIMEOUT} ms`);
}
