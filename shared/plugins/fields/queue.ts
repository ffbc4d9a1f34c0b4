import { defineField } from '../../schema/vocabulary.ts';

/** How entries wait, are batched and are tried again on their way to a server. Delays in seconds. */
export const queue = defineField({
  type: 'record',
  description: 'How entries are gathered, wait and are tried again on their way.',
  required: true,
  fields: {
    max_batch_size: {
      type: 'integer',
      default: 1,
      between: [1, 1000000],
      description: 'Entries that are sent together at the most.',
    },
    max_coalescing_delay: {
      type: 'number',
      default: 1,
      between: [0, 3600],
      description: 'Seconds that a batch waits for more entries.',
    },
    max_entries: {
      type: 'integer',
      default: 10000,
      between: [1, 1000000],
      description: 'Entries that wait at the most. When there are more, the oldest are dropped.',
    },
    max_bytes: {
      type: 'integer',
      description: 'Bytes that wait at the most. When there are more, the oldest are dropped.',
    },
    max_retry_time: {
      type: 'number',
      default: 60,
      description: 'Seconds after which a batch that cannot be sent is dropped.',
    },
    initial_retry_delay: {
      type: 'number',
      default: 0.01,
      between: [0.001, 1000000],
      description: 'Seconds until it is tried again for the first time. Each further time it is twice as long.',
    },
    max_retry_delay: {
      type: 'number',
      default: 60,
      between: [0.001, 1000000],
      description: 'Seconds between two tries at the most.',
    },
    concurrency_limit: {
      type: 'integer',
      default: 1,
      one_of: [-1, 1],
      description: 'Batches that are under way at the same time: 1, or -1 for any number.',
    },
  },
});

/** What plugins had before they had a queue; goes before it until Kong 4.0, where it is not what was its default. */
export const formerQueueFields = {
  retry_count: {
    type: 'integer',
    deprecation: { old_default: 10, removal_in_version: '4.0', instead: ['queue', 'max_retry_time'], inert: true },
    description: 'Without effect: queue.max_retry_time says how long it is tried.',
  },
  queue_size: {
    type: 'integer',
    deprecation: { old_default: 1, removal_in_version: '4.0', instead: ['queue', 'max_batch_size'] },
    description: 'Former name of queue.max_batch_size, in place of which it is taken unless it is 1.',
  },
  flush_timeout: {
    type: 'number',
    deprecation: { old_default: 2, removal_in_version: '4.0', instead: ['queue', 'max_coalescing_delay'] },
    description: 'Former name of queue.max_coalescing_delay, in place of which it is taken unless it is 2.',
  },
} as const;
