import { need } from '../cluster/need.ts';
import { host, port, protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import {
  CONSUMER_IDENTIFIERS,
  SERVICE_IDENTIFIERS,
  STAT_TYPES,
  sampledChecks,
  WORKSPACE_IDENTIFIERS,
} from './fields/metrics.ts';
import { formerQueueFields, queue } from './fields/queue.ts';

/** Sends metrics to a StatsD server. */
export const statsd = definePlugin({
  name: 'statsd',
  version: KONG_VERSION,
  priority: 11,
  phases: ['log'],
  *needs({ host, use_tcp }) {
    if (use_tcp !== true) yield need('udp', 'config.host', host);
  },
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        host: { ...host, default: 'localhost', description: 'Where the StatsD server is.' },
        port: { ...port, default: 8125, description: 'Where it listens.' },
        prefix: { type: 'string', default: 'kong', description: 'What the name of each metric begins with.' },
        metrics: {
          type: 'array',
          default: [
            { name: 'request_count', sample_rate: 1, stat_type: 'counter' },
            { name: 'latency', stat_type: 'timer' },
            { name: 'request_size', sample_rate: 1, stat_type: 'counter' },
            { name: 'status_count', sample_rate: 1, stat_type: 'counter' },
            { name: 'response_size', sample_rate: 1, stat_type: 'counter' },
            { name: 'unique_users', stat_type: 'set' },
            { name: 'request_per_user', sample_rate: 1, stat_type: 'counter' },
            { name: 'upstream_latency', stat_type: 'timer' },
            { name: 'kong_latency', stat_type: 'timer' },
            { name: 'status_count_per_user', sample_rate: 1, stat_type: 'counter' },
            { name: 'status_count_per_workspace', sample_rate: 1, stat_type: 'counter' },
            { name: 'status_count_per_user_per_route', sample_rate: 1, stat_type: 'counter' },
            { name: 'shdict_usage', sample_rate: 1, stat_type: 'gauge' },
          ],
          elements: {
            type: 'record',
            fields: {
              name: {
                type: 'string',
                required: true,
                one_of: [
                  'kong_latency',
                  'latency',
                  'request_count',
                  'request_per_user',
                  'request_size',
                  'response_size',
                  'status_count',
                  'status_count_per_user',
                  'unique_users',
                  'upstream_latency',
                  'status_count_per_workspace',
                  'status_count_per_user_per_route',
                  'shdict_usage',
                ],
                description: 'What is counted or measured.',
              },
              stat_type: { type: 'string', required: true, one_of: STAT_TYPES, description: 'The kind of metric.' },
              sample_rate: { type: 'number', gt: 0, description: 'The part of requests that it is sent for. 1: all.' },
              consumer_identifier: {
                type: 'string',
                one_of: CONSUMER_IDENTIFIERS,
                description: 'What of the consumer stands in its name.',
              },
              service_identifier: {
                type: 'string',
                one_of: SERVICE_IDENTIFIERS,
                description: 'What of the service stands in its name.',
              },
              workspace_identifier: {
                type: 'string',
                one_of: WORKSPACE_IDENTIFIERS,
                description: 'What of the workspace stands in its name.',
              },
            },
            entity_checks: sampledChecks,
          },
          description: 'What is sent.',
        },
        allow_status_codes: {
          type: 'array',
          elements: { type: 'string', match: { pattern: '^[0-9]+-[0-9]+$', regex: /^[0-9]+-[0-9]+$/ } },
          description: 'Ranges of statuses that are counted one by one, as 200-299.',
        },
        udp_packet_size: {
          type: 'number',
          default: 0,
          between: [0, 65507],
          description: 'Bytes that are gathered before a packet is sent. 0: each metric is a packet.',
        },
        use_tcp: { type: 'boolean', default: false, description: 'Sent over TCP instead of UDP.' },
        hostname_in_prefix: {
          type: 'boolean',
          default: false,
          description: 'The host name of the data plane stands in the name of each metric.',
        },
        consumer_identifier_default: {
          type: 'string',
          required: true,
          default: 'custom_id',
          one_of: CONSUMER_IDENTIFIERS,
          description: 'What of the consumer stands in names, where a metric does not say.',
        },
        service_identifier_default: {
          type: 'string',
          required: true,
          default: 'service_name_or_host',
          one_of: SERVICE_IDENTIFIERS,
          description: 'What of the service stands in names, where a metric does not say.',
        },
        workspace_identifier_default: {
          type: 'string',
          required: true,
          default: 'workspace_id',
          one_of: WORKSPACE_IDENTIFIERS,
          description: 'What of the workspace stands in names, where a metric does not say.',
        },
        ...formerQueueFields,
        tag_style: {
          type: 'string',
          required: false,
          one_of: ['dogstatsd', 'influxdb', 'librato', 'signalfx'],
          description: 'How tags are written. Not set: what they would say stands in the name.',
        },
        queue,
      },
    },
  },
});

export type StatsdConfig = Entity<typeof statsd>['config'];
