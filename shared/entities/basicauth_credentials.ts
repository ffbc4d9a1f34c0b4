import { toHex } from '../schema/formats/keys.ts';
import { autoTimestamp, headerValue, tags, uuid } from '../schema/kinds.ts';
import { getPath } from '../schema/record.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** User names and passwords of consumers. */
export const basicauthCredentials = defineEntity({
  name: 'basicauth_credentials',
  primary_key: ['id'],
  endpoint_key: 'username',
  cache_key: ['username'],
  workspaceable: true,
  admin_api_name: 'basic-auths',
  admin_api_nested_name: 'basic-auth',
  bundle: { mode: 'lazy', lookup: 'username' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    consumer: {
      type: 'foreign',
      reference: 'consumers',
      required: true,
      on_delete: 'cascade',
      description: 'Who has shown the right name and password.',
    },
    username: { ...headerValue, required: true, unique: true, description: 'What the client gives as its user name.' },
    password: {
      type: 'string',
      required: true,
      encrypted: true,
      description: 'Kept as a digest: it cannot be read back.',
    },
    tags,
  },
  transformations: [
    {
      input: ['password'],
      needs: ['consumer.id'],
      on_write: async ({ password, consumer }) => ({
        password: await hashPassword(String(password), String(getPath(consumer, ['id']))),
      }),
    },
  ],
});

/** Kong's own form, so that credentials move between the two: hex SHA-1 of the password and the consumer's id. */
async function hashPassword(password: string, consumerId: string): Promise<string> {
  return toHex(await crypto.subtle.digest('SHA-1', new TextEncoder().encode(password + consumerId)));
}
