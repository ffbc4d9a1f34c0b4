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
    key: { type: 'string', required: true, unique: true, auto: true },
    value: { type: 'string', required: true, auto: true },
    created_at: autoTimestamp,
  },
});
