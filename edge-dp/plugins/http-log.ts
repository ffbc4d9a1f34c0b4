import type { HttpLogConfig } from '../../shared/plugins/http-log.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { compileCustomFields } from './custom-log-fields.ts';
import { fingerprint } from './fingerprint.ts';
import { type Logged, logText } from './log-entry.ts';
import { bytesOf, queueOptions } from './queue-options.ts';
import type { Plugin } from './runtime/plugin.ts';
import { shownUrl } from './shown-url.ts';

/** Sends log entries to an HTTP server, as one JSON object each or, with batches of more than one, as JSON arrays. */
const httpLog: Plugin<HttpLogConfig> = {
  name: 'http-log',
  version: KONG_VERSION,
  priority: 12,
  watches: true,
  compile(config, place, services) {
    const { url, shown } = shownUrl(config.http_endpoint, 'http_endpoint');
    const site = { plugin: 'http-log', place };
    const custom = compileCustomFields(config.custom_fields_by_lua, { ...site, services });
    const queue = queueOptions(config, site, services);
    const method = config.method ?? 'POST';
    const timeout = config.timeout ?? 10_000;
    const headers = { ...config.headers, 'Content-Type': config.content_type ?? 'application/json' };
    // Configurations that send the same way share a queue, and their entries batches.
    const key = fingerprint([url, method, timeout, headers, queue]);
    const entries = services.deliveries<string>(`http-log ${shown} ${key}`, queue, (batch) => {
      const [entry = ''] = batch;
      const body = queue.max_batch_size === 1 ? entry : `[${batch.join(',')}]`;
      return { url, shown, method, headers, body, timeout };
    });
    const log = (exchange: Logged): void =>
      custom.fill(exchange, () => {
        const text = logText(exchange);
        entries.push(text, exchange.request, queue.max_bytes === null ? 0 : bytesOf([text]));
      });
    return {
      log,
      logStream: log,
      close() {
        entries.close();
        custom.close();
      },
    };
  },
};

export default httpLog;
