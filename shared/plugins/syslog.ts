import { need } from '../cluster/need.ts';
import { protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { customLogFields } from './fields/custom-log-fields.ts';
import { SEVERITIES } from './fields/severities.ts';

/** Writes request logs to syslog. */
export const syslog = definePlugin({
  name: 'syslog',
  version: KONG_VERSION,
  priority: 4,
  phases: ['log'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        log_level: {
          type: 'string',
          required: true,
          default: 'info',
          one_of: SEVERITIES,
          description: 'Lines of less severity than this are not sent.',
        },
        successful_severity: {
          type: 'string',
          required: true,
          default: 'info',
          one_of: SEVERITIES,
          description: 'Severity of requests that were answered well.',
        },
        client_errors_severity: {
          type: 'string',
          required: true,
          default: 'info',
          one_of: SEVERITIES,
          description: 'Severity of requests with a 4xx answer.',
        },
        server_errors_severity: {
          type: 'string',
          required: true,
          default: 'info',
          one_of: SEVERITIES,
          description: 'Severity of requests with a 5xx answer.',
        },
        custom_fields_by_lua: customLogFields,
        facility: {
          type: 'string',
          required: true,
          default: 'user',
          one_of: [
            'auth',
            'authpriv',
            'cron',
            'daemon',
            'ftp',
            'kern',
            'lpr',
            'mail',
            'news',
            'syslog',
            'user',
            'uucp',
            'local0',
            'local1',
            'local2',
            'local3',
            'local4',
            'local5',
            'local6',
            'local7',
          ],
          description: 'The kind of program that lines are said to come from.',
        },
      },
    },
  },
  needs: function* ({ facility }) {
    yield need('syslog', 'config.facility', facility);
  },
});

export type SyslogConfig = Entity<typeof syslog>['config'];
