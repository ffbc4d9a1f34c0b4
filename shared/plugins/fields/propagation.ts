import { headerName } from '../../schema/kinds.ts';
import { defineField } from '../../schema/vocabulary.ts';

/** Which tracing headers are read from clients and written to upstreams. */
export const propagation = defineField({
  type: 'record',
  required: true,
  fields: {
    extract: {
      type: 'array',
      elements: { type: 'string', one_of: ['aws', 'b3', 'datadog', 'gcp', 'jaeger', 'ot', 'w3c'] },
    },
    clear: { type: 'array', elements: headerName },
    inject: {
      type: 'array',
      elements: {
        type: 'string',
        one_of: ['aws', 'b3', 'b3-single', 'datadog', 'gcp', 'jaeger', 'ot', 'preserve', 'w3c'],
      },
    },
    default_format: {
      type: 'string',
      required: true,
      one_of: ['aws', 'b3', 'b3-single', 'datadog', 'gcp', 'jaeger', 'ot', 'w3c'],
    },
  },
});
