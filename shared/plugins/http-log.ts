import { isRecord } from '../record.ts';
import { parseUrl } from '../schema/formats/text.ts';
import { headerName, headerValue, protocols, url } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { customLogFields } from './fields/custom-log-fields.ts';
import { formerQueueFields, queue } from './fields/queue.ts';

/** Sends request logs to an HTTP server. */
export const httpLog = definePlugin({
  name: 'http-log',
  version: KONG_VERSION,
  priority: 12,
  phases: ['log'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      custom_validator: doubleAuthorizationError,
      fields: {
        http_endpoint: {
          ...url,
          required: true,
          referenceable: true,
          encrypted: true,
          description: 'Where it is sent to.',
        },
        method: {
          type: 'string',
          default: 'POST',
          one_of: ['POST', 'PUT', 'PATCH'],
          description: 'The method it is sent by.',
        },
        content_type: {
          type: 'string',
          default: 'application/json',
          one_of: ['application/json', 'application/json; charset=utf-8'],
          description: 'What the body is said to be.',
        },
        timeout: { type: 'number', default: 10000, description: 'Milliseconds until it is given up.' },
        keepalive: {
          type: 'number',
          default: 60000,
          description: 'Milliseconds for which an idle connection is kept.',
        },
        ...formerQueueFields,
        headers: {
          type: 'map',
          keys: {
            ...headerName,
            match_none: [
              { pattern: '^[Hh][Oo][Ss][Tt]$', regex: /^host$/i, err: "cannot contain 'Host' header" },
              {
                pattern: '^[Cc][Oo][Nn][Tt][Ee][Nn][Tt]%-[Ll][Ee][nn][Gg][Tt][Hh]$',
                regex: /^[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee]n[Gg][Tt][Hh]$/,
                err: "cannot contain 'Content-Length' header",
              },
              {
                pattern: '^[Cc][Oo][Nn][Tt][Ee][Nn][Tt]%-[Tt][Yy][Pp][Ee]$',
                regex: /^content-type$/i,
                err: "cannot contain 'Content-Type' header",
              },
            ],
          },
          values: { ...headerValue, referenceable: true },
          description: 'Headers it is sent with.',
        },
        queue,
        custom_fields_by_lua: customLogFields,
      },
    },
  },
});

export type HttpLogConfig = Entity<typeof httpLog>['config'];

/** Two ways to say who calls would contradict each other. */
function doubleAuthorizationError({ http_endpoint, headers }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof http_endpoint !== 'string' || !isRecord(headers)) return undefined;
  if (parseUrl(http_endpoint).userinfo === undefined) return undefined;
  if (!Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')) return undefined;
  return "specifying both an 'Authorization' header and user info in 'http_endpoint' is not allowed";
}
