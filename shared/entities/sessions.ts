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
    session_id: { type: 'string', unique: true, required: true, description: 'What the cookie of the session says.' },
    expires: { type: 'integer', description: 'When it ends, in seconds since 1970.' },
    data: { type: 'string', description: 'What the session holds, encrypted.' },
    created_at: autoTimestamp,
  },
});
