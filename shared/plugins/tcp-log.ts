import { host, port, protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { customLogFields } from './fields/custom-log-fields.ts';

/** Sends request logs over TCP. */
export const tcpLog = definePlugin({
  name: 'tcp-log',
  version: KONG_VERSION,
  priority: 7,
  phases: ['log'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        host: { ...host, required: true },
        port: { ...port, required: true },
        timeout: { type: 'number', default: 10000 },
        keepalive: { type: 'number', default: 60000 },
        tls: { type: 'boolean', required: true, default: false },
        tls_sni: { type: 'string' },
        custom_fields_by_lua: customLogFields,
      },
    },
  },
});

export type TcpLogConfig = Entity<typeof tcpLog>['config'];
