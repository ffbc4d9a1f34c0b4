import { autoTimestamp, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** What the acme plugin keeps with its storage set to `kong`. Shared by all workspaces. */
export const acmeStorage = defineEntity({
  name: 'acme_storage',
  primary_key: ['id'],
  cache_key: ['key'],
  ttl: true,
  fields: {
    id: uuid,
    key: {
      type: 'string',
      required: true,
      unique: true,
      auto: true,
      description: 'What the acme plugin finds the value by.',
    },
    value: {
      type: 'string',
      required: true,
      auto: true,
      description: 'What is kept: a certificate with its key, an account or the answer to a challenge.',
    },
    created_at: autoTimestamp,
  },
});
