import { headerName } from '../../schema/kinds.ts';
import { defineField } from '../../schema/vocabulary.ts';

/** Which tracing headers are read from clients and written to upstreams. */
export const propagation = defineField({
  type: 'record',
  description: 'Which headers a trace is read from, and written into.',
  required: true,
  fields: {
    extract: {
      type: 'array',
      elements: { type: 'string', one_of: ['aws', 'b3', 'datadog', 'gcp', 'jaeger', 'ot', 'w3c'] },
      description: 'Headers that a trace is read from: the first that a request has counts.',
    },
    clear: {
      type: 'array',
      elements: headerName,
      description: 'Headers that are taken out of the request once they have been read.',
    },
    inject: {
      type: 'array',
      elements: {
        type: 'string',
        one_of: ['aws', 'b3', 'b3-single', 'datadog', 'gcp', 'jaeger', 'ot', 'preserve', 'w3c'],
      },
      description: 'Headers that the trace is written into. preserve: those it came by.',
    },
    default_format: {
      type: 'string',
      required: true,
      one_of: ['aws', 'b3', 'b3-single', 'datadog', 'gcp', 'jaeger', 'ot', 'w3c'],
      description: 'Headers that are written with preserve when the request came with none.',
    },
  },
});
