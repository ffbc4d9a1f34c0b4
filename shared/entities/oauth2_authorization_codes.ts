import { autoTimestamp, headerValue, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Codes waiting to be exchanged for tokens (RFC 6749, 4.1). */
export const oauth2AuthorizationCodes = defineEntity({
  name: 'oauth2_authorization_codes',
  primary_key: ['id'],
  workspaceable: true,
  ttl: true,
  generate_admin_api: false,
  db_export: false,
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    service: { type: 'foreign', reference: 'services', default: null, on_delete: 'cascade' },
    credential: { type: 'foreign', reference: 'oauth2_credentials', required: true, on_delete: 'cascade' },
    code: { type: 'string', required: false, unique: true, auto: true },
    authenticated_userid: { ...headerValue, required: false },
    scope: headerValue,
    challenge: { type: 'string', required: false },
    challenge_method: { type: 'string', required: false, one_of: ['S256'] },
    plugin: { type: 'foreign', reference: 'plugins', default: null, on_delete: 'cascade' },
  },
});
