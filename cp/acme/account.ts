import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { AcmeConfig } from '../../shared/plugins/acme.ts';
import { isRecord } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Workspace } from '../store/store.ts';
import { AcmeError } from './error.ts';
import { newKey, pemOf } from './request.ts';
import type { AcmeStorage } from './storage.ts';

/** The private key of a configuration's account: of the key entity it names, or one that is made once and kept. Throws `AcmeError`. */
export async function accountKey(
  workspace: Workspace,
  storage: AcmeStorage,
  { account_key, account_email, api_uri }: AcmeConfig,
): Promise<KeyObject> {
  const place = `kong_acme:account:${api_uri}:${Buffer.from(String(account_email)).toString('base64')}`;
  const kept = await storage.get(place);
  if (kept !== null) return keptKey(kept, place);
  const key = account_key === null ? await newKey({ type: 'ecc' }) : await namedKey(workspace, account_key);
  if (await storage.add(place, JSON.stringify({ key: pemOf(key) }), 0)) return key;
  // Another order was faster: theirs is the account.
  const theirs = await storage.get(place);
  return theirs === null ? key : keptKey(theirs, place);
}

function keptKey(kept: string, place: string): KeyObject {
  return readKey(() => createPrivateKey(String(JSON.parse(kept).key)), `acme_storage '${place}'`);
}

/** A key entity's private half, by its kid and, where one is named, its set. */
async function namedKey(
  workspace: Workspace,
  { key_id, key_set }: NonNullable<AcmeConfig['account_key']>,
): Promise<KeyObject> {
  const set = key_set === null ? null : await workspace.entity('key_sets').select({ field: 'name', value: key_set });
  if (key_set !== null && set === null) throw new AcmeError(`config.account_key: there is no key set '${key_set}'`);
  const { rows } = await workspace.entity('keys').page({ where: { field: 'kid', value: key_id }, size: 1000 });
  const row = rows.find((each) => (isRecord(each.set) ? each.set.id : undefined) === set?.id);
  const named = `config.account_key: key '${key_id}'`;
  if (row === undefined) throw new AcmeError(`${named} does not exist`);
  const { jwk, pem } = row;
  return readKey(
    () =>
      typeof jwk === 'string'
        ? createPrivateKey({ key: JSON.parse(jwk), format: 'jwk' })
        : createPrivateKey(String(isRecord(pem) ? pem.private_key : '')),
    named,
  );
}

function readKey(read: () => KeyObject, what: string): KeyObject {
  try {
    return read();
  } catch (error) {
    throw new AcmeError(`${what} is no private key that can be read: ${messageOf(error)}`, { cause: error });
  }
}
