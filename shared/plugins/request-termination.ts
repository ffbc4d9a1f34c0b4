import { headerName, headerValue, httpProtocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { finalStatusError } from './fields/final-status.ts';

/** Answers requests itself. */
export const requestTermination = definePlugin({
  name: 'request-termination',
  version: KONG_VERSION,
  priority: 2,
  phases: ['access'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      custom_validator: combinationError,
      fields: {
        status_code: {
          type: 'integer',
          required: true,
          default: 503,
          between: [100, 599],
          custom_validator: finalStatusError,
          description: 'Status of the answer.',
        },
        message: { type: 'string', description: 'What the answer says. Not together with a body.' },
        content_type: { ...headerValue, description: 'What the body is said to be.' },
        body: { type: 'string', description: 'The whole body of the answer.' },
        echo: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The answer tells of the request instead.',
        },
        trigger: {
          ...headerName,
          description: 'Only requests that have this header or query argument are answered. Not set: all.',
        },
      },
    },
  },
});

export type RequestTerminationConfig = Entity<typeof requestTermination>['config'];

function combinationError({
  message,
  content_type,
  body,
  echo,
}: Readonly<Record<string, unknown>>): string | undefined {
  const given = (value: unknown) => value !== null && value !== undefined;
  if (given(message) && (given(content_type) || given(body))) return 'message cannot be used with content_type or body';
  if (given(content_type) && !given(body)) return 'content_type requires a body';
  if (echo && (given(content_type) || given(body))) return 'echo cannot be used with content_type and body';
  return undefined;
}
