import { autoTimestamp, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Keys that belong together, as in a JWK Set. */
export const keySets = defineEntity({
  name: 'key_sets',
  primary_key: ['id'],
  endpoint_key: 'name',
  workspaceable: true,
  admin_api_name: 'key-sets',
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    name: { type: 'string', required: false, unique: true, description: 'By which the set is found.' },
    tags,
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
  },
});
