import type { BundleRow } from '../../shared/bundle/format.ts';
import { recordOrEmpty } from '../../shared/record.ts';
import { environmentVariable, parseReference, referenceProblem } from '../../shared/vault-reference.ts';

/** Where a reference leads on this node. Times in seconds. */
export interface SecretSource {
  /** The same for all that are read alike. */
  readonly key: string;
  readonly variable: string;
  /** The property of a JSON object. */
  readonly part: string | null;
  /** 0: read once. */
  readonly ttl: number;
  readonly negTtl: number;
  readonly resurrectTtl: number;
}

/** The vault entities of a config by their prefixes. */
export type Vaults = ReadonlyMap<string, BundleRow>;

/** Seconds a secret that can no longer be had stays good: Kong's three years. */
const RESURRECT_TTL = 100_000_000;

/** Follows a reference; a text says why that leads nowhere. `ownPrefix`: the node's own for `{vault://env/…}` (`vault_env_prefix`). */
export function sourceOf(text: string, vaults: Vaults, ownPrefix: string | null): SecretSource | string {
  const reference = parseReference(text);
  if (reference === null) return referenceProblem(text) ?? 'not a reference';
  const vault = vaults.get(reference.vault);
  const own = reference.vault === 'env';
  if (vault === undefined && !own) return `there is no vault '${reference.vault}'`;
  if (!own && vault?.name !== 'env') return `this data plane has no vaults of the kind '${vault?.name}'`;
  const config = own ? { prefix: ownPrefix } : recordOrEmpty(vault?.config);
  const { options } = reference;
  const prefix = options.prefix ?? (typeof config.prefix === 'string' ? config.prefix : null);
  const seconds = (name: string, otherwise: number): number => {
    const said = options[name] === undefined ? Reflect.get(config, name) : Number(options[name]);
    return typeof said === 'number' && said >= 0 ? said : otherwise;
  };
  const variable = environmentVariable(reference, prefix);
  const ttl = seconds('ttl', 0);
  const negTtl = seconds('neg_ttl', 0);
  const resurrectTtl = seconds('resurrect_ttl', RESURRECT_TTL);
  const key = JSON.stringify([variable, reference.key, ttl, negTtl, resurrectTtl]);
  return { key, variable, part: reference.key, ttl, negTtl, resurrectTtl };
}
