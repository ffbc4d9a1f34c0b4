import { autoTimestamp, name, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Consumers that are treated alike. Kong has this in its Enterprise edition only; the shape is that edition's. */
export const consumerGroups = defineEntity({
  name: 'consumer_groups',
  primary_key: ['id'],
  endpoint_key: 'name',
  workspaceable: true,
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    name: { ...name, required: true, description: 'What plugins and the Admin API know the group by.' },
    tags,
  },
});
