import { need } from '../cluster/need.ts';
import { protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { customLogFields } from './fields/custom-log-fields.ts';

/** Appends request logs to a file. */
export const fileLog = definePlugin({
  name: 'file-log',
  version: KONG_VERSION,
  priority: 9,
  phases: ['log'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        path: {
          type: 'string',
          required: true,
          match: { pattern: '^[^*&%%\\`]+$', regex: /^[^*&%\\`]+$/ },
          err: 'not a valid filename',
          description: 'The file that lines are added to.',
        },
        reopen: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The file is opened anew for each line, so that it can be moved away meanwhile.',
        },
        custom_fields_by_lua: customLogFields,
      },
    },
  },
  needs: function* ({ path }) {
    if (path !== '/dev/stdout' && path !== '/dev/stderr') yield need('files', 'config.path', path);
  },
});

export type FileLogConfig = Entity<typeof fileLog>['config'];
