import { autoTimestamp, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** What the session plugin keeps with its storage set to `kong`. Shared by all workspaces. */
export const sessions = defineEntity({
  name: 'sessions',
  primary_key: ['id'],
  endpoint_key: 'session_id',
  cache_key: ['session_id'],
  ttl: true,
  db_export: false,
  records: ['session_id'],
  fields: {
    id: uuid,
    session_id: { type: 'string', unique: true, required: true },
    expires: { type: 'integer' },
    data: { type: 'string' },
    created_at: autoTimestamp,
  },
});
