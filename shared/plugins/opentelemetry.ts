import { anyHeaderName, headerName, headerValue, httpProtocols, timeout, url } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { propagation } from './fields/propagation.ts';
import { queue } from './fields/queue.ts';

/** Sends traces and logs by OTLP. */
export const opentelemetry = definePlugin({
  name: 'opentelemetry',
  version: KONG_VERSION,
  priority: 14,
  phases: ['configure', 'access', 'header_filter', 'log'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        traces_endpoint: { ...url, referenceable: true, description: 'Where traces are sent to, by OTLP over HTTP.' },
        logs_endpoint: { ...url, referenceable: true, description: 'Where logs are sent to, by OTLP over HTTP.' },
        headers: {
          type: 'map',
          keys: headerName,
          values: { ...headerValue, referenceable: true },
          description: 'Headers they are sent with.',
        },
        resource_attributes: {
          type: 'map',
          custom_validator: attributesError,
          keys: { type: 'string', required: true },
          values: { type: 'string', required: true },
          description: 'What is said of this gateway in each, such as service.name.',
        },
        queue: { ...queue, default: { max_batch_size: 200 } },
        batch_span_count: {
          type: 'integer',
          deprecation: { old_default: 200, removal_in_version: '4.0', instead: ['queue', 'max_batch_size'] },
          description: 'Former name of queue.max_batch_size, in place of which it is taken unless it is 200.',
        },
        batch_flush_delay: {
          type: 'integer',
          deprecation: { old_default: 3, removal_in_version: '4.0', instead: ['queue', 'max_coalescing_delay'] },
          description: 'Former name of queue.max_coalescing_delay, in place of which it is taken unless it is 3.',
        },
        connect_timeout: { ...timeout, default: 1000, description: 'Milliseconds to connect.' },
        send_timeout: { ...timeout, default: 5000, description: 'Milliseconds between two writes.' },
        read_timeout: { ...timeout, default: 5000, description: 'Milliseconds between two reads.' },
        http_response_header_for_traceid: {
          ...anyHeaderName,
          description: 'The header of answers that has the ID of the trace.',
        },
        header_type: {
          type: 'string',
          required: false,
          default: 'preserve',
          one_of: ['preserve', 'ignore', 'b3', 'b3-single', 'w3c', 'jaeger', 'ot', 'aws', 'gcp', 'datadog'],
          deprecation: { old_default: 'preserve', removal_in_version: '4.0', instead: ['propagation'] },
          description: 'Which headers carry the trace. What is set under Propagation takes its place.',
        },
        sampling_rate: {
          type: 'number',
          required: false,
          between: [0, 1],
          description: 'The part of requests that is traced, from 0 to 1. Not set: as the data plane’s setting says.',
        },
        propagation: { ...propagation, default: { default_format: 'w3c' } },
      },
      shorthand_fields: [
        {
          name: 'endpoint',
          field: {
            ...url,
            referenceable: true,
            deprecation: { removal_in_version: '4.0', instead: ['traces_endpoint'] },
          },
          expand: (value) => ({ traces_endpoint: value }),
        },
      ],
      entity_checks: [{ at_least_one_of: ['traces_endpoint', 'logs_endpoint'] }],
    },
  },
});

export type OpentelemetryConfig = Entity<typeof opentelemetry>['config'];

function attributesError(attributes: Readonly<Record<string, unknown>>): string | undefined {
  return Object.values(attributes).includes('') ? 'required field missing' : undefined;
}
