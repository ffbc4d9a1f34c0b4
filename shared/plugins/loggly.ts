import { need } from '../cluster/need.ts';
import { host, port, protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { customLogFields } from './fields/custom-log-fields.ts';
import { SEVERITIES } from './fields/severities.ts';

/** Sends request logs to Loggly. */
export const loggly = definePlugin({
  name: 'loggly',
  version: KONG_VERSION,
  priority: 6,
  phases: ['log'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        host: { ...host, default: 'logs-01.loggly.com' },
        port: { ...port, default: 514 },
        key: { type: 'string', required: true, referenceable: true, encrypted: true },
        tags: { type: 'set', default: ['kong'], elements: { type: 'string' } },
        log_level: { type: 'string', default: 'info', one_of: SEVERITIES },
        successful_severity: { type: 'string', default: 'info', one_of: SEVERITIES },
        client_errors_severity: { type: 'string', default: 'info', one_of: SEVERITIES },
        server_errors_severity: { type: 'string', default: 'info', one_of: SEVERITIES },
        timeout: { type: 'number', default: 10000 },
        custom_fields_by_lua: customLogFields,
      },
    },
  },
  needs: function* ({ host }) {
    yield need('udp', 'config.host', host);
  },
});

export type LogglyConfig = Entity<typeof loggly>['config'];
