import { need, type Requirement } from '../../cluster/need.ts';
import { luaSyntaxError } from '../../lua/syntax.ts';
import { noConsumer, protocols } from '../../schema/kinds.ts';
import { type ArrayField, defineField, type EntityCheck } from '../../schema/vocabulary.ts';

/** What pre-function and post-function are both configured with: Lua sources by phase, run one after the other. */
export function phaseFunctions(plugin: string) {
  const sources = defineField({
    type: 'array',
    required: true,
    default: [],
    elements: {
      type: 'string',
      required: false,
      custom_validator: (source: string) => {
        const error = luaSyntaxError(source);
        return error === undefined ? undefined : `error parsing ${plugin}: ${error}`;
      },
    },
  } satisfies ArrayField);
  return {
    consumer: noConsumer,
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        certificate: { ...sources, description: 'Lua run during the TLS handshake.' },
        rewrite: {
          ...sources,
          description:
            'Lua run as soon as a request comes in, before there is a route. Only of plugins for all requests.',
        },
        access: { ...sources, description: 'Lua run before the request is passed on.' },
        header_filter: { ...sources, description: 'Lua run when the head of the answer is there.' },
        body_filter: { ...sources, description: 'Lua run for each piece of the answer’s body.' },
        log: { ...sources, description: 'Lua run when the answer has been sent.' },
      },
    },
  } as const;
}

export function* phaseFunctionNeeds({ certificate }: Readonly<Record<string, unknown>>): Iterable<Requirement> {
  yield need('lua', 'config');
  if (Array.isArray(certificate) && certificate.length > 0) yield need('tls_handshake', 'config.certificate');
}

export const PHASES = ['certificate', 'rewrite', 'access', 'header_filter', 'body_filter', 'log'] as const;

/** At least one phase has a function. */
export const somePhase: readonly EntityCheck[] = [{ at_least_one_of: PHASES.map((phase) => `config.${phase}`) }];
