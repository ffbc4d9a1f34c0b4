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
        log_level: { type: 'string', required: true, default: 'info', one_of: SEVERITIES },
        successful_severity: { type: 'string', required: true, default: 'info', one_of: SEVERITIES },
        client_errors_severity: { type: 'string', required: true, default: 'info', one_of: SEVERITIES },
        server_errors_severity: { type: 'string', required: true, default: 'info', one_of: SEVERITIES },
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
        },
      },
    },
  },
  needs: function* ({ facility }) {
    yield need('syslog', 'config.facility', facility);
  },
});

export type SyslogConfig = Entity<typeof syslog>['config'];
