import { isRecord } from '../record.ts';
import { anyHeaderName, protocols, timeout, url } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { propagation } from './fields/propagation.ts';
import { queue } from './fields/queue.ts';

/** Sends traces to a Zipkin server. */
export const zipkin = definePlugin({
  name: 'zipkin',
  version: KONG_VERSION,
  priority: 100000,
  phases: ['access', 'header_filter', 'body_filter', 'log'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        local_service_name: {
          type: 'string',
          required: true,
          default: 'kong',
          description: 'What this gateway is called in traces.',
        },
        http_endpoint: { ...url, description: 'Where traces are sent to. Not set: only headers are read and written.' },
        sample_ratio: {
          type: 'number',
          default: 0.001,
          between: [0, 1],
          description: 'The part of requests without a trace of their own that is traced, from 0 to 1.',
        },
        default_service_name: { type: 'string', description: 'What an API without a name is called in traces.' },
        include_credential: {
          type: 'boolean',
          required: true,
          default: true,
          description: 'Traces have the ID of the credential.',
        },
        traceid_byte_count: {
          type: 'integer',
          required: true,
          default: 16,
          one_of: [8, 16],
          description: 'Bytes of the ID of a trace.',
        },
        header_type: {
          type: 'string',
          required: true,
          default: 'preserve',
          one_of: ['preserve', 'ignore', 'b3', 'b3-single', 'w3c', 'jaeger', 'ot', 'aws', 'datadog', 'gcp'],
          deprecation: { old_default: 'preserve', removal_in_version: '4.0', instead: ['propagation'] },
          description: 'Which headers carry the trace. What is set under Propagation takes its place.',
        },
        default_header_type: {
          type: 'string',
          required: true,
          default: 'b3',
          one_of: ['b3', 'b3-single', 'w3c', 'jaeger', 'ot', 'aws', 'datadog', 'gcp'],
          deprecation: { old_default: 'b3', removal_in_version: '4.0', instead: ['propagation', 'default_format'] },
          description: 'Which headers are written when a request came with none.',
        },
        tags_header: {
          ...anyHeaderName,
          required: true,
          default: 'Zipkin-Tags',
          description: 'The header by which clients add tags, as name=value.',
        },
        static_tags: {
          type: 'array',
          custom_validator: repeatedTagError,
          elements: {
            type: 'record',
            fields: {
              name: {
                type: 'string',
                required: true,
                not_one_of: [
                  'error',
                  'http.method',
                  'http.path',
                  'http.status_code',
                  'kong.balancer.state',
                  'kong.balancer.try',
                  'kong.consumer',
                  'kong.credential',
                  'kong.node.id',
                  'kong.route',
                  'kong.service',
                  'lc',
                  'peer.hostname',
                ],
                description: 'Name of the tag.',
              },
              value: { type: 'string', required: true, description: 'Its value.' },
            },
          },
          description: 'Tags of every trace.',
        },
        http_span_name: {
          type: 'string',
          required: true,
          default: 'method',
          one_of: ['method', 'method_path'],
          description: 'What the first span is called: the method, or method and path.',
        },
        connect_timeout: { ...timeout, default: 2000, description: 'Milliseconds to connect.' },
        send_timeout: { ...timeout, default: 5000, description: 'Milliseconds between two writes.' },
        read_timeout: { ...timeout, default: 5000, description: 'Milliseconds between two reads.' },
        http_response_header_for_traceid: {
          ...anyHeaderName,
          description: 'The header of answers that has the ID of the trace.',
        },
        phase_duration_flavor: {
          type: 'string',
          required: true,
          default: 'annotations',
          one_of: ['annotations', 'tags'],
          description: 'How the time of each phase is told: as annotations or as tags.',
        },
        queue,
        propagation: { ...propagation, default: { default_format: 'b3' } },
      },
    },
  },
});

export type ZipkinConfig = Entity<typeof zipkin>['config'];

function repeatedTagError(tags: readonly unknown[]): string | undefined {
  const names = tags.map((tag) => (isRecord(tag) ? tag.name : undefined));
  const repeated = names.find((name, i) => names.indexOf(name) < i);
  return repeated === undefined ? undefined : `repeated tags are not allowed: ${String(repeated)}`;
}
