import { need } from '../cluster/need.ts';
import { host, port, protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { CONSUMER_IDENTIFIERS, STAT_TYPES, sampledChecks } from './fields/metrics.ts';
import { formerQueueFields, queue } from './fields/queue.ts';

/** Sends metrics to a Datadog agent over UDP. */
export const datadog = definePlugin({
  name: 'datadog',
  version: KONG_VERSION,
  priority: 10,
  phases: ['log'],
  *needs({ host }) {
    yield need('udp', 'config.host', host);
  },
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        host: { ...host, default: 'localhost', referenceable: true, description: 'Where the Datadog agent is.' },
        port: { ...port, default: 8125, description: 'Where it listens for UDP.' },
        prefix: { type: 'string', default: 'kong', description: 'What the name of each metric begins with.' },
        service_name_tag: { type: 'string', default: 'name', description: 'Name of the tag that has the service.' },
        status_tag: { type: 'string', default: 'status', description: 'Name of the tag that has the status.' },
        consumer_tag: { type: 'string', default: 'consumer', description: 'Name of the tag that has the consumer.' },
        ...formerQueueFields,
        queue,
        metrics: {
          type: 'array',
          required: true,
          default: [
            {
              consumer_identifier: 'custom_id',
              name: 'request_count',
              sample_rate: 1,
              stat_type: 'counter',
              tags: ['app:kong'],
            },
            { consumer_identifier: 'custom_id', name: 'latency', stat_type: 'timer', tags: ['app:kong'] },
            { consumer_identifier: 'custom_id', name: 'request_size', stat_type: 'timer', tags: ['app:kong'] },
            { consumer_identifier: 'custom_id', name: 'response_size', stat_type: 'timer', tags: ['app:kong'] },
            { consumer_identifier: 'custom_id', name: 'upstream_latency', stat_type: 'timer', tags: ['app:kong'] },
            { consumer_identifier: 'custom_id', name: 'kong_latency', stat_type: 'timer', tags: ['app:kong'] },
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
                  'request_size',
                  'response_size',
                  'upstream_latency',
                ],
                description: 'What is counted or measured.',
              },
              stat_type: {
                type: 'string',
                required: true,
                one_of: [...STAT_TYPES, 'distribution'],
                description: 'The kind of metric.',
              },
              tags: {
                type: 'array',
                elements: { type: 'string', match: { pattern: '^.*[^:]$', regex: /[^:]$/ } },
                description: 'Tags of this metric, as name:value.',
              },
              sample_rate: {
                type: 'number',
                between: [0, 1],
                description: 'The part of requests that it is sent for. 1: all.',
              },
              consumer_identifier: {
                type: 'string',
                one_of: CONSUMER_IDENTIFIERS,
                description: 'What of the consumer stands in its tag.',
              },
            },
            entity_checks: sampledChecks,
          },
          description: 'What is sent.',
        },
      },
    },
  },
});

export type DatadogConfig = Entity<typeof datadog>['config'];
