import { defineField } from '../../schema/vocabulary.ts';

/** How entries wait, are batched and are tried again on their way to a server. Delays in seconds. */
export const queue = defineField({
  type: 'record',
  required: true,
  fields: {
    max_batch_size: { type: 'integer', default: 1, between: [1, 1000000] },
    max_coalescing_delay: { type: 'number', default: 1, between: [0, 3600] },
    max_entries: { type: 'integer', default: 10000, between: [1, 1000000] },
    max_bytes: { type: 'integer' },
    max_retry_time: { type: 'number', default: 60 },
    initial_retry_delay: { type: 'number', default: 0.01, between: [0.001, 1000000] },
    max_retry_delay: { type: 'number', default: 60, between: [0.001, 1000000] },
    concurrency_limit: { type: 'integer', default: 1, one_of: [-1, 1] },
  },
});

/** What plugins had before they had a queue; accepted until Kong 4.0, and without effect. */
export const formerQueueFields = {
  retry_count: { type: 'integer', deprecation: { old_default: 10, removal_in_version: '4.0' } },
  queue_size: { type: 'integer', deprecation: { old_default: 1, removal_in_version: '4.0' } },
  flush_timeout: { type: 'number', deprecation: { old_default: 2, removal_in_version: '4.0' } },
} as const;
