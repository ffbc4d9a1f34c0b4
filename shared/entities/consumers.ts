import { autoTimestamp, headerValue, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Who calls: a person, an application, another service. */
export const consumers = defineEntity({
  name: 'consumers',
  primary_key: ['id'],
  endpoint_key: 'username',
  workspaceable: true,
  // Authentication plugins name their anonymous consumer by id or username.
  bundle: { mode: 'lazy', lookup: 'id', also: ['username'] },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    username: { ...headerValue, unique: true, description: 'The name it is known by here.' },
    custom_id: { ...headerValue, unique: true, description: 'The name it has in a system of yours.' },
    tags,
  },
  entity_checks: [{ at_least_one_of: ['custom_id', 'username'] }],
});
