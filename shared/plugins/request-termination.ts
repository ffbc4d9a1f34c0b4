import { headerName, headerValue, httpProtocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

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
        status_code: { type: 'integer', required: true, default: 503, between: [100, 599] },
        message: { type: 'string' },
        content_type: headerValue,
        body: { type: 'string' },
        echo: { type: 'boolean', required: true, default: false },
        trigger: headerName,
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
