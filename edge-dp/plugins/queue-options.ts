import type { QueueOptions } from './runtime/services.ts';

/** The `queue` field of a plugin's config: what is unset there is Kong's default. */
export function queueOptions(
  config: {
    readonly [Name in keyof QueueOptions]: QueueOptions[Name] | null;
  },
): QueueOptions {
  return {
    max_batch_size: config.max_batch_size ?? 1,
    max_coalescing_delay: config.max_coalescing_delay ?? 1,
    max_entries: config.max_entries ?? 10_000,
    max_bytes: config.max_bytes,
    initial_retry_delay: config.initial_retry_delay ?? 0.01,
    max_retry_delay: config.max_retry_delay ?? 60,
    max_retry_time: config.max_retry_time ?? 60,
    concurrency_limit: config.concurrency_limit ?? 1,
  };
}
