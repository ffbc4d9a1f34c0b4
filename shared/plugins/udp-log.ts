import { need } from '../cluster/need.ts';
import { host, port, protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { customLogFields } from './fields/custom-log-fields.ts';

/** Sends request logs over UDP. */
export const udpLog = definePlugin({
  name: 'udp-log',
  version: KONG_VERSION,
  priority: 8,
  phases: ['log'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        host: { ...host, required: true, description: 'Where it is sent to.' },
        port: { ...port, required: true, description: 'Where that listens.' },
        timeout: { type: 'number', default: 10000, description: 'Milliseconds until it is given up.' },
        custom_fields_by_lua: customLogFields,
      },
    },
  },
  needs: function* ({ host }) {
    yield need('udp', 'config.host', host);
  },
});

export type UdpLogConfig = Entity<typeof udpLog>['config'];
