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
        host: { ...host, required: true, description: 'Where it is sent to.' },
        port: { ...port, required: true, description: 'Where that listens.' },
        timeout: { type: 'number', default: 10000, description: 'Milliseconds until it is given up.' },
        keepalive: {
          type: 'number',
          default: 60000,
          description: 'Milliseconds for which an idle connection is kept.',
        },
        tls: { type: 'boolean', required: true, default: false, description: 'Sent over TLS.' },
        tls_sni: { type: 'string', description: 'Server name of the TLS handshake.' },
        custom_fields_by_lua: customLogFields,
      },
    },
  },
});

export type TcpLogConfig = Entity<typeof tcpLog>['config'];
