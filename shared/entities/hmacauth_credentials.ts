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
    consumer: { type: 'foreign', reference: 'consumers', required: true, on_delete: 'cascade' },
    username: { ...headerValue, required: true, unique: true },
    secret: { type: 'string', auto: true },
    tags,
  },
});
