import { autoTimestamp, headerValue, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Groups of consumers that the acl plugin allows or denies. */
export const acls = defineEntity({
  name: 'acls',
  primary_key: ['id'],
  cache_key: ['consumer', 'group'],
  workspaceable: true,
  bundle: { mode: 'lazy', lookup: 'consumer' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    consumer: {
      type: 'foreign',
      reference: 'consumers',
      required: true,
      on_delete: 'cascade',
      description: 'Who is in the group.',
    },
    group: { ...headerValue, required: true, description: 'The name that the acl plugin allows or denies.' },
    tags,
  },
});
