import type { HttpLogConfig } from '../../shared/plugins/http-log.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { compileCustomFields } from './custom-log-fields.ts';
import { fingerprint } from './fingerprint.ts';
import { type Logged, logText } from './log-entry.ts';
import { queueOptions } from './queue-options.ts';
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
    const entries = services.deliveries<Uint8Array>(`http-log ${shown} ${key}`, queue, (batch) => {
      const [entry = NOTHING] = batch;
      const body = queue.max_batch_size === 1 ? entry : jsonArray(batch);
      return { url, shown, method, headers, body, timeout };
    });
    const log = (exchange: Logged): void =>
      custom.fill(exchange, () => {
        // As bytes, which are not in the heap that garbage is collected of: many entries wait until there is nothing young about them.
        const entry = utf8.encode(logText(exchange));
        entries.push(entry, exchange.request, entry.length);
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

/** What is JSON already as one array. */
function jsonArray(entries: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(entries.reduce((size, { length }) => size + length + 1, 1));
  let at = 0;
  for (const entry of entries) {
    bytes[at] = at === 0 ? OPEN : COMMA;
    bytes.set(entry, at + 1);
    at += 1 + entry.length;
  }
  bytes[at] = CLOSE;
  return bytes;
}

const OPEN = 0x5b;
const COMMA = 0x2c;
const CLOSE = 0x5d;
const NOTHING = new Uint8Array();
const utf8 = new TextEncoder();
