import { autoTimestamp, headerValue, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Tokens, whether a data plane issued them or the Admin API was told of them. */
export const oauth2Tokens = defineEntity({
  name: 'oauth2_tokens',
  primary_key: ['id'],
  endpoint_key: 'access_token',
  cache_key: ['access_token'],
  workspaceable: true,
  ttl: true,
  bundle: {
    mode: 'lazy',
    lookup: 'access_token',
    hashed: ['access_token', 'refresh_token'],
    also: ['refresh_token'],
  },
  records: ['access_token', 'refresh_token'],
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    service: { type: 'foreign', reference: 'services', default: null, on_delete: 'cascade' },
    credential: { type: 'foreign', reference: 'oauth2_credentials', required: true, on_delete: 'cascade' },
    token_type: { type: 'string', required: true, one_of: ['bearer'], default: 'bearer' },
    // Seconds.
    expires_in: { type: 'integer', required: true },
    access_token: { type: 'string', required: false, unique: true, auto: true },
    refresh_token: { type: 'string', required: false, unique: true },
    authenticated_userid: { ...headerValue, required: false },
    scope: headerValue,
  },
});
