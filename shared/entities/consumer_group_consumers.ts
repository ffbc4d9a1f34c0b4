import { autoTimestamp, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Which consumer is in which group; reached through the paths of groups and consumers only. */
export const consumerGroupConsumers = defineEntity({
  name: 'consumer_group_consumers',
  primary_key: ['id'],
  cache_key: ['consumer_group', 'consumer'],
  workspaceable: true,
  generate_admin_api: false,
  bundle: { mode: 'lazy', lookup: 'consumer' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    consumer_group: {
      type: 'foreign',
      required: true,
      reference: 'consumer_groups',
      on_delete: 'cascade',
      description: 'The group.',
    },
    consumer: {
      type: 'foreign',
      required: true,
      reference: 'consumers',
      on_delete: 'cascade',
      description: 'Who is in it.',
    },
  },
});
