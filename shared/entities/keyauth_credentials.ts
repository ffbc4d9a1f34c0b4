import { autoTimestamp, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** API keys of consumers. */
export const keyauthCredentials = defineEntity({
  name: 'keyauth_credentials',
  primary_key: ['id'],
  endpoint_key: 'key',
  cache_key: ['key'],
  workspaceable: true,
  ttl: true,
  admin_api_name: 'key-auths',
  admin_api_nested_name: 'key-auth',
  bundle: { mode: 'lazy', lookup: 'key', hashed: ['key'] },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    consumer: {
      type: 'foreign',
      reference: 'consumers',
      required: true,
      on_delete: 'cascade',
      description: 'Who shows this key.',
    },
    key: {
      type: 'string',
      required: false,
      unique: true,
      auto: true,
      description: 'What the client shows, by default in the header apikey. Left out: one is made up.',
    },
    tags,
  },
});
