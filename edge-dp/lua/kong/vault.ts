import { type LuaCall, LuaNative, type LuaValue, results } from '../../../shared/lua/value.ts';
import { parseReference, referenceProblem } from '../../../shared/vault-reference.ts';
import { contextOf } from '../context.ts';

/** `kong.vault.get(reference)`: the secret, or nil and why there is none. */
export const vaultGet = new LuaNative(
  'get',
  async (call) => {
    const reference = referenceOf(call);
    const problem = referenceProblem(reference);
    if (problem !== null) return results(undefined, problem);
    const { value, missing } = await contextOf(call).site.services.vaults.secret(call.text(1));
    return value === null ? results(undefined, `could not get value from external vault (${missing})`) : value;
  },
  true,
);

/** `kong.vault.parse_reference(reference)`: its parts, or nil and why it is none. */
export const parseVaultReference = new LuaNative('parse_reference', (call) => {
  const given = referenceOf(call);
  const reference = parseReference(given);
  if (reference === null) return results(undefined, referenceProblem(given) ?? '');
  const { vault, resource, key, options, version } = reference;
  return {
    name: vault,
    resource,
    key: key ?? undefined,
    config: Object.keys(options).length === 0 ? undefined : options,
    version: version ?? undefined,
  };
});

/** What is to be read as one: that counts by its length. */
function referenceOf(call: LuaCall): LuaValue {
  const given = call.value(1);
  if (typeof given === 'string') call.charge(given.length * 2);
  return given;
}
