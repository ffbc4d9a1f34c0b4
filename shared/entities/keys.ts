import { isRecord } from '../record.ts';
import { isLoadableJwk, keptKeyIdentity, privateKeyContainer, publicKeyContainer } from '../schema/formats/keys.ts';
import { autoTimestamp, tags, uuid } from '../schema/kinds.ts';
import { defineEntity, type FieldErrors } from '../schema/vocabulary.ts';
import { isReference } from '../vault-reference.ts';
import { jwkSchemaError } from './jwk.ts';

type Values = Readonly<Record<string, unknown>>;

/** A key pair or a part of one, as JWK (RFC 7517) or PEM. */
export const keys = defineEntity({
  name: 'keys',
  primary_key: ['id'],
  endpoint_key: 'name',
  cache_key: ['kid', 'set'],
  workspaceable: true,
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    set: {
      type: 'foreign',
      required: false,
      reference: 'key_sets',
      on_delete: 'cascade',
      description: 'The key set it is in.',
    },
    name: { type: 'string', required: false, unique: true, description: 'By which the key is found.' },
    kid: { type: 'string', required: true, unique: false, description: 'The ID of the key within its set.' },
    // Text, not a record, so that it may be a vault reference as a whole.
    jwk: {
      type: 'string',
      referenceable: true,
      encrypted: true,
      description: 'The key as JSON Web Key. Either this or PEM.',
    },
    pem: {
      type: 'record',
      required: false,
      fields: {
        private_key: {
          type: 'string',
          required: false,
          referenceable: true,
          encrypted: true,
          description: 'PEM of the private half.',
        },
        public_key: { type: 'string', referenceable: true, required: false, description: 'PEM of the public half.' },
      },
      entity_checks: [{ at_least_one_of: ['private_key', 'public_key'] }],
      custom_validator: pemFormError,
      description: 'The key as PEM. Either this or a JSON Web Key.',
    },
    tags,
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
  },
  entity_checks: [
    { mutually_exclusive: ['jwk', 'pem'] },
    { at_least_one_of: ['jwk', 'pem'] },
    { custom_entity_check: { field_sources: ['jwk', 'pem', 'kid'], fn: materialError } },
  ],
});

/** What can be said of a PEM pair without loading it. */
function pemFormError({ private_key, public_key }: Values): string | undefined {
  if (isReference(private_key) || isReference(public_key)) return undefined;
  if (typeof public_key === 'string' && !publicKeyContainer(public_key)) return 'could not load public key';
  if (typeof private_key === 'string' && !privateKeyContainer(private_key)) return 'could not load private key';
  return undefined;
}

async function materialError({ jwk, pem, kid }: Values): Promise<string | FieldErrors | undefined> {
  if (typeof jwk === 'string') return jwkError(jwk, kid);
  if (!isRecord(pem)) return undefined;
  const error = await pemError(pem);
  return error === undefined ? undefined : { pem: error };
}

async function pemError({ private_key, public_key }: Values): Promise<string | undefined> {
  if (isReference(private_key) || isReference(public_key)) return undefined;
  const publicKey = typeof public_key === 'string' ? await keptKeyIdentity(publicKeyContainer(public_key)) : null;
  if (publicKey === undefined) return 'could not load public key';
  const privateKey = typeof private_key === 'string' ? await keptKeyIdentity(privateKeyContainer(private_key)) : null;
  if (privateKey === undefined) return 'could not load private key';
  const pair = publicKey !== null && privateKey !== null;
  return pair && publicKey !== privateKey ? 'public key does not match private key' : undefined;
}

async function jwkError(text: string, kid: unknown): Promise<string | undefined> {
  if (isReference(text)) return undefined;
  const jwk = parseJson(text);
  if (!isRecord(jwk)) return 'could not json decode jwk string';
  if (jwk.kid !== kid) return 'kid in jwk.kid must be equal to keys.kid';
  if (!(await isLoadableJwk(jwk))) return 'could not load JWK, likely not a valid key';
  return jwkSchemaError(jwk);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
