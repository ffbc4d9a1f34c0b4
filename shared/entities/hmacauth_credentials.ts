import { autoTimestamp, headerValue, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Shared secrets that consumers sign requests with. */
export const hmacauthCredentials = defineEntity({
  name: 'hmacauth_credentials',
  primary_key: ['id'],
  endpoint_key: 'username',
  cache_key: ['username'],
  workspaceable: true,
  admin_api_name: 'hmac-auths',
  admin_api_nested_name: 'hmac-auth',
  bundle: { mode: 'lazy', lookup: 'username' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    consumer: {
      type: 'foreign',
      reference: 'consumers',
      required: true,
      on_delete: 'cascade',
      description: 'Whose requests have a right signature.',
    },
    username: {
      ...headerValue,
      required: true,
      unique: true,
      description: 'The name that stands in the Authorization header of signed requests.',
    },
    secret: { type: 'string', auto: true, description: 'What requests are signed with. Left out: one is made up.' },
    tags,
  },
});
