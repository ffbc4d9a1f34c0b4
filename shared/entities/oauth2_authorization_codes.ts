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
    service: {
      type: 'foreign',
      reference: 'services',
      default: null,
      on_delete: 'cascade',
      description: 'The only service that tokens for this code are for. Not set: all.',
    },
    credential: {
      type: 'foreign',
      reference: 'oauth2_credentials',
      required: true,
      on_delete: 'cascade',
      description: 'The application the code was given to.',
    },
    code: {
      type: 'string',
      required: false,
      unique: true,
      auto: true,
      description: 'What the application shows to get a token. Left out: one is made up.',
    },
    authenticated_userid: {
      ...headerValue,
      required: false,
      description: 'Who has let the application in, as your login page knows them.',
    },
    scope: { ...headerValue, description: 'What was granted, separated by spaces.' },
    challenge: { type: 'string', required: false, description: 'What the verifier of PKCE must fit.' },
    challenge_method: {
      type: 'string',
      required: false,
      one_of: ['S256'],
      description: 'How the challenge was made of the verifier.',
    },
    plugin: {
      type: 'foreign',
      reference: 'plugins',
      default: null,
      on_delete: 'cascade',
      description: 'The plugin that gave the code out.',
    },
  },
});
