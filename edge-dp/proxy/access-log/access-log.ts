import { type AccessLogFile, compileFormat, type LineWriter } from '../../../shared/access-log/format.ts';
import type { Exchange } from '../../plugins/runtime/exchange.ts';
import type { Queue, QueueOptions, Services } from '../../plugins/runtime/services.ts';
import { ExchangeFacts } from './facts.ts';

/** Lines wait a moment for company; a file that cannot be written is tried for a while, and then the oldest are dropped. */
const BATCHES: QueueOptions = {
  max_batch_size: 2000,
  max_coalescing_delay: 0.2,
  max_entries: 20_000,
  max_bytes: 16 << 20,
  initial_retry_delay: 0.5,
  max_retry_delay: 5,
  max_retry_time: 30,
};

/** `proxy_access_log`: a line for each request, whatever came of it. */
export class AccessLog {
  readonly #write: LineWriter;
  readonly #lines: Queue<string>;

  constructor({ path, format }: AccessLogFile, services: Pick<Services, 'queue' | 'append'>) {
    this.#write = compileFormat(format);
    // Opened anew for each batch: a file that was moved away by log rotation is let go of without being told.
    const file = { path, reopen: true };
    this.#lines = services.queue(`proxy_access_log ${path}`, BATCHES, (lines) =>
      services.append(file, `${lines.join('\n')}\n`),
    );
  }

  write(exchange: Exchange): void {
    const line = this.#write(new ExchangeFacts(exchange));
    this.#lines.push(line, exchange.request, line.length);
  }
}
