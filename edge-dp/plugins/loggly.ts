import type { LogglyConfig } from '../../shared/plugins/loggly.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { compileCustomFields } from './custom-log-fields.ts';
import { type Logged, logText } from './log-entry.ts';
import { severityNumber, severityOf } from './log-severity.ts';
import { packetQueue } from './packet-queue.ts';
import type { Plugin } from './runtime/plugin.ts';

/** Sends log entries to Loggly as syslog messages (RFC 5424) over UDP. */
const loggly: Plugin<LogglyConfig> = {
  name: 'loggly',
  version: KONG_VERSION,
  priority: 6,
  watches: true,
  compile({ host, port, key, tags, custom_fields_by_lua, ...severities }, place, services) {
    const custom = compileCustomFields(custom_fields_by_lua, { plugin: 'loggly', place, services });
    const packets = packetQueue('loggly', { host: host ?? 'logs-01.loggly.com', port: port ?? 514 }, services);
    const data = `[${[`${key}@${LOGGLY}`, ...(tags ?? []).map((tag) => `tag="${escaped(tag)}"`)].join(' ')}]`;
    const from = `${services.node.hostname} kong - - ${data}`;
    const log = (exchange: Logged): void => {
      const severity = severityOf(severities, exchange);
      if (severity === null) return;
      const priority = USER * 8 + severityNumber(severity);
      custom.fill(exchange, () => {
        const time = `${new Date().toISOString().slice(0, 'YYYY-MM-DDThh:mm:ss'.length)}Z`;
        packets.push(`<${priority}>1 ${time} ${from} ${logText(exchange)}`, exchange.request);
      });
    };
    return {
      log,
      logStream: log,
      close() {
        packets.close();
        custom.close();
      },
    };
  },
};

export default loggly;

/** Loggly's number among private enterprises (RFC 5424 section 7.2.2). */
const LOGGLY = 41058;
/** The facility `user`. */
const USER = 1;

/** A value of structured data (RFC 5424 section 6.3.3). */
function escaped(text: string): string {
  return text.replace(/["\\\]]/g, '\\$&');
}
