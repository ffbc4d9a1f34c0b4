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
    service: {
      type: 'foreign',
      reference: 'services',
      default: null,
      on_delete: 'cascade',
      description: 'The only service the token is for. Not set: all.',
    },
    credential: {
      type: 'foreign',
      reference: 'oauth2_credentials',
      required: true,
      on_delete: 'cascade',
      description: 'The application that has the token.',
    },
    token_type: {
      type: 'string',
      required: true,
      one_of: ['bearer'],
      default: 'bearer',
      description: 'How it is shown: as bearer token.',
    },
    expires_in: {
      type: 'integer',
      required: true,
      description: 'Seconds after its creation until it is refused. 0: never.',
    },
    access_token: {
      type: 'string',
      required: false,
      unique: true,
      auto: true,
      description: 'What requests show. Left out: one is made up.',
    },
    refresh_token: { type: 'string', required: false, unique: true, description: 'What a new token is given for.' },
    authenticated_userid: {
      ...headerValue,
      required: false,
      description: 'For whom the application acts, as your login page knows them.',
    },
    scope: { ...headerValue, description: 'What was granted, separated by spaces.' },
  },
});
