import type { SyslogConfig } from '../../shared/plugins/syslog.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { compileCustomFields } from './custom-log-fields.ts';
import { type Logged, logText } from './log-entry.ts';
import { severityOf } from './log-severity.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { SyslogLine } from './runtime/services.ts';
import { UNQUEUED } from './unqueued.ts';

/** Writes log entries to the machine's syslog, each as urgent as its answer. */
const syslog: Plugin<SyslogConfig> = {
  name: 'syslog',
  version: KONG_VERSION,
  priority: 4,
  watches: true,
  compile({ facility, custom_fields_by_lua, ...severities }, place, services) {
    const custom = compileCustomFields(custom_fields_by_lua, { plugin: 'syslog', place, services });
    const lines = services.queue<SyslogLine>('syslog', UNQUEUED, (batch) => services.syslog(batch));
    const log = (exchange: Logged): void => {
      const severity = severityOf(severities, exchange);
      if (severity === null) return;
      custom.fill(exchange, () => lines.push({ severity, facility, message: logText(exchange) }, exchange.request));
    };
    return {
      log,
      logStream: log,
      close() {
        lines.close();
        custom.close();
      },
    };
  },
};

export default syslog;
