import { parseUrl } from '../schema/formats/text.ts';
import { autoTimestamp, headerValue, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Applications that may ask for OAuth 2.0 tokens. */
export const oauth2Credentials = defineEntity({
  name: 'oauth2_credentials',
  primary_key: ['id'],
  endpoint_key: 'client_id',
  cache_key: ['client_id'],
  workspaceable: true,
  admin_api_name: 'oauth2',
  bundle: { mode: 'lazy', lookup: 'id', also: ['client_id'], hashed: ['client_secret'], unless: 'hash_secret' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    consumer: {
      type: 'foreign',
      reference: 'consumers',
      required: true,
      on_delete: 'cascade',
      description: 'Whose application this is.',
    },
    name: { type: 'string', required: true, description: 'What people see that are asked to let it in.' },
    client_id: {
      ...headerValue,
      required: false,
      unique: true,
      auto: true,
      description: 'What the application names itself by. Left out: one is made up.',
    },
    client_secret: {
      type: 'string',
      required: false,
      auto: true,
      encrypted: true,
      description: 'What the application proves itself with. Left out: one is made up.',
    },
    hash_secret: {
      type: 'boolean',
      required: true,
      default: false,
      description: 'The secret is kept as a digest and cannot be read back.',
    },
    redirect_uris: {
      type: 'array',
      required: false,
      elements: { ...headerValue, custom_validator: redirectError },
      description: 'Where people may be sent back to, with the code or the token.',
    },
    tags,
    client_type: {
      type: 'string',
      required: true,
      default: 'confidential',
      one_of: ['confidential', 'public'],
      description: 'confidential: it can keep its secret. public: it runs at people’s, and must use PKCE.',
    },
  },
  transformations: [
    {
      input: ['hash_secret'],
      needs: ['client_secret'],
      on_write: async ({ hash_secret, client_secret }) =>
        hash_secret === true
          ? { client_secret: await hashSecret(String(client_secret), crypto.getRandomValues(new Uint8Array(16))) }
          : {},
      can_be_from: async ({ hash_secret, client_secret }, stored) => {
        if (hash_secret !== true || stored.hash_secret !== true) return false;
        const salt = saltOf(String(stored.client_secret));
        return salt !== undefined && (await hashSecret(String(client_secret), salt)) === stored.client_secret;
      },
    },
  ],
});

function redirectError(uri: string): string | undefined {
  const { host, scheme, fragment } = parseUrl(uri);
  if (host === undefined || scheme === undefined) return `cannot parse '${uri}'`;
  return fragment === undefined ? undefined : `fragment not allowed in '${uri}'`;
}

const ITERATIONS = 10000;
const HASH_BYTES = 32;

/** PBKDF2 with SHA-512 in the PHC string format, with Kong's parameters. */
async function hashSecret(secret: string, salt: Uint8Array<ArrayBuffer>): Promise<string> {
  const key = await crypto.subtle.importKey('raw', new TextEncoder().encode(secret), 'PBKDF2', false, ['deriveBits']);
  const parameters = { name: 'PBKDF2', hash: 'SHA-512', salt, iterations: ITERATIONS };
  const hash = await crypto.subtle.deriveBits(parameters, key, HASH_BYTES * 8);
  return `$pbkdf2-sha512$i=${ITERATIONS},l=${HASH_BYTES}$${base64(salt)}$${base64(new Uint8Array(hash))}`;
}

/** The salt of a hash of that form and these parameters; undefined for any other text. */
function saltOf(hash: string): Uint8Array<ArrayBuffer> | undefined {
  const [, salt] = SALT.exec(hash) ?? [];
  return salt === undefined ? undefined : Uint8Array.from(atob(salt), (character) => character.charCodeAt(0));
}

const SALT = new RegExp(`^\\$pbkdf2-sha512\\$i=${ITERATIONS},l=${HASH_BYTES}\\$([A-Za-z0-9+/]{2,64})\\$`);

/** Without padding, as the PHC format has it. */
function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/=+$/, '');
}
