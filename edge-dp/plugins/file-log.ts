import type { FileLogConfig } from '../../shared/plugins/file-log.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { compileCustomFields } from './custom-log-fields.ts';
import { type Logged, logText } from './log-entry.ts';
import type { Plugin } from './runtime/plugin.ts';
import { UNQUEUED } from './unqueued.ts';

/** Appends log entries to a file of the node, a line each. */
const fileLog: Plugin<FileLogConfig> = {
  name: 'file-log',
  version: KONG_VERSION,
  priority: 9,
  watches: true,
  compile({ path, reopen, custom_fields_by_lua }, place, services) {
    const custom = compileCustomFields(custom_fields_by_lua, { plugin: 'file-log', place, services });
    const name = `file-log ${path}${reopen ? ' (reopened)' : ''}`;
    const lines = services.queue<string>(name, UNQUEUED, (batch) =>
      services.append({ path, reopen }, `${batch.join('\n')}\n`),
    );
    const log = (exchange: Logged): void =>
      custom.fill(exchange, () => lines.push(logText(exchange), exchange.request));
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

export default fileLog;
