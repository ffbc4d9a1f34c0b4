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
        host: { ...host, default: 'logs-01.loggly.com', description: 'Where Loggly takes log lines.' },
        port: { ...port, default: 514, description: 'Where it listens for UDP.' },
        key: {
          type: 'string',
          required: true,
          referenceable: true,
          encrypted: true,
          description: 'The customer token.',
        },
        tags: { type: 'set', default: ['kong'], elements: { type: 'string' }, description: 'Tags of each line.' },
        log_level: {
          type: 'string',
          default: 'info',
          one_of: SEVERITIES,
          description: 'Lines of less severity than this are not sent.',
        },
        successful_severity: {
          type: 'string',
          default: 'info',
          one_of: SEVERITIES,
          description: 'Severity of requests that were answered well.',
        },
        client_errors_severity: {
          type: 'string',
          default: 'info',
          one_of: SEVERITIES,
          description: 'Severity of requests with a 4xx answer.',
        },
        server_errors_severity: {
          type: 'string',
          default: 'info',
          one_of: SEVERITIES,
          description: 'Severity of requests with a 5xx answer.',
        },
        timeout: { type: 'number', default: 10000, description: 'Milliseconds until it is given up.' },
        custom_fields_by_lua: customLogFields,
      },
    },
  },
  needs: function* ({ host }) {
    yield need('udp', 'config.host', host);
  },
});

export type LogglyConfig = Entity<typeof loggly>['config'];
