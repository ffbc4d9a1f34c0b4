import type { PluginSite } from './problem-line.ts';
import type { QueueOptions, Services } from './runtime/services.ts';

/** What a plugin's config says of its queue: `queue`, and fields of former versions that go before it until Kong 4.0. */
interface QueueConfig {
  readonly queue: { readonly [Name in keyof QueueOptions]: QueueOptions[Name] | null };
  readonly retry_count?: number | null;
  readonly queue_size?: number | null;
  readonly flush_timeout?: number | null;
  readonly batch_span_count?: number | null;
  readonly batch_flush_delay?: number | null;
}

/** What is unset is Kong's default. The log is told of a field that has no effect. */
export function queueOptions(
  config: QueueConfig,
  { plugin, place }: PluginSite,
  { log }: Pick<Services, 'log'>,
): QueueOptions {
  const { queue, retry_count } = config;
  const size = former(config.queue_size, 1) ?? former(config.batch_span_count, 200);
  const delay = former(config.flush_timeout, 2) ?? former(config.batch_flush_delay, 3);
  if (former(retry_count, 10) !== null)
    log('warn', `plugin ${plugin} (${place.id}): retry_count has no effect, queue.max_retry_time has`);
  return {
    // Of these, schemas do not say how small they may be.
    max_batch_size: Math.max(1, size ?? queue.max_batch_size ?? 1),
    max_coalescing_delay: Math.max(0, delay ?? queue.max_coalescing_delay ?? 1),
    max_entries: queue.max_entries ?? 10_000,
    max_bytes: queue.max_bytes,
    initial_retry_delay: queue.initial_retry_delay ?? 0.01,
    max_retry_delay: queue.max_retry_delay ?? 60,
    max_retry_time: queue.max_retry_time ?? 60,
    concurrency_limit: queue.concurrency_limit ?? 1,
  };
}

/** Of a former field, null where it is not set or has what was its default: then the queue's own counts. */
function former(value: number | null | undefined, byDefault: number): number | null {
  return value === undefined || value === byDefault ? null : value;
}

/** What texts weigh for `max_bytes`. */
export function bytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + utf8.encode(text).length, 0);
}

const utf8 = new TextEncoder();
