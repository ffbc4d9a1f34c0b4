import { unescaped } from './unescaped.ts';

/** `{vault://…}`: resolved by the node that uses it, so its value is unknown where config is checked. Holds no control characters. */
export function isReference(value: unknown): value is string {
  return typeof value === 'string' && /^\{vault:\/\/[^\p{Cc}\p{Cf}]*\}$/u.test(value);
}

/** `{vault://vault/resource/key?option=value#version}`, taken apart. */
export interface VaultReference {
  /** A kind of vault (`env`), or the `prefix` of a vault entity. */
  readonly vault: string;
  readonly resource: string;
  /** Where the secret is a JSON object: the property that is meant. */
  readonly key: string | null;
  /** What the reference says of the vault's config itself. */
  readonly options: Readonly<Record<string, string>>;
  /** 2: the secret before the present one. */
  readonly version: number | null;
}

/** Reads a reference as Kong does. Null: it is not one, or names no secret; `referenceProblem` says why. */
export function parseReference(text: unknown): VaultReference | null {
  const read = readReference(text);
  return typeof read === 'string' ? null : read;
}

/** Why `parseReference` gives nothing, in Kong's words. */
export function referenceProblem(text: unknown): string | null {
  const read = readReference(text);
  return typeof read === 'string' ? `${read} [${text}]` : null;
}

function readReference(text: unknown): VaultReference | string {
  if (!isReference(text)) return 'not a reference';
  const [, beforeVersion = '', fragment] = /^([^#]*)(?:#(.*))?$/s.exec(text.slice('{vault://'.length, -1)) ?? [];
  const [, address = '', query = ''] = /^([^?]*)(?:\?(.*))?$/s.exec(beforeVersion) ?? [];
  const slash = address.indexOf('/');
  const vault = slash < 0 ? address : address.slice(0, slash);
  if (vault === '') return 'reference url is missing host';
  if (slash < 0) return 'reference url is missing path';
  const parts = address
    .slice(slash + 1)
    .split('/')
    .filter((part) => part !== '');
  if (parts.length === 0) return 'reference url has empty path';
  if (fragment !== undefined && !/^\d+$/.test(fragment)) return 'reference url has invalid version';
  const key = parts.length > 1 ? unescaped(parts.pop() ?? '') : null;
  return {
    vault,
    resource: unescaped(parts.join('/')),
    key,
    options: Object.fromEntries(new URLSearchParams(query)),
    version: fragment === undefined ? null : Number(fragment),
  };
}

/** The variable that the `env` vault keeps a secret in: `{vault://env/my-key}` with prefix `app_` is `APP_MY_KEY`. */
export function environmentVariable({ resource, version }: VaultReference, prefix: string | null): string {
  const name = `${prefix ?? ''}${resource}`.replaceAll('-', '_').toUpperCase();
  return version === 2 ? `${name}_PREVIOUS` : name;
}

/** What a reference with a key means of a secret, or why there is no such thing; never quotes the secret. */
export function secretPart(
  secret: string,
  key: string | null,
): { readonly value: string } | { readonly problem: string } {
  if (key === null) return { value: secret };
  let whole: unknown;
  try {
    whole = JSON.parse(secret);
  } catch {
    return { problem: 'its value is no JSON' };
  }
  if (typeof whole !== 'object' || whole === null) return { problem: 'its value is no JSON object' };
  if (!Object.hasOwn(whole, key)) return { problem: `its value has no property '${key}'` };
  const value: unknown = Reflect.get(whole, key);
  return typeof value === 'string' ? { value } : { problem: `the property '${key}' of its value is no string` };
}
