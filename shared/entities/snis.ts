import { autoTimestamp, tags, uuid, wildcardHost } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Server names, each with the certificate served for it. */
export const snis = defineEntity({
  name: 'snis',
  primary_key: ['id'],
  endpoint_key: 'name',
  workspaceable: true,
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    // Host names are compared regardless of case (RFC 6066, 3).
    name: {
      ...wildcardHost,
      required: true,
      unique: true,
      unique_across_ws: true,
      caseless: true,
      description: 'Host name, as api.example.com or *.example.com.',
    },
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    tags,
    certificate: {
      type: 'foreign',
      reference: 'certificates',
      required: true,
      description: 'What is shown to clients that ask for this name.',
    },
  },
});
