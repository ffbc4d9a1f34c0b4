import type { QueueOptions } from './runtime/services.ts';

/**
 * For entries that Kong sends at once and once, without a queue: what has come meanwhile goes together, what fails is dropped and
 * told, and what is under way is waited for before a process ends.
 */
export const UNQUEUED: QueueOptions = {
  max_batch_size: 1000,
  max_coalescing_delay: 0,
  max_entries: 10_000,
  max_bytes: null,
  initial_retry_delay: 0.01,
  max_retry_delay: 0.01,
  max_retry_time: 0,
};
