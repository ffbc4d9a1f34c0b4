import { abridged } from '../abridged.ts';
import { wholePattern } from '../atc/regex.ts';
import { headerValue, httpProtocols, noConsumer } from '../schema/kinds.ts';
import { regexError } from '../schema/rules.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Answers and marks cross-origin requests (Fetch standard, CORS protocol). */
export const cors = definePlugin({
  name: 'cors',
  version: KONG_VERSION,
  priority: 2000,
  phases: ['access', 'header_filter'],
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        origins: {
          type: 'array',
          elements: { ...headerValue, custom_validator: originError },
          description:
            'Pages that may call, as https://app.example.com, or *. A regular expression where it has other signs.',
        },
        headers: {
          type: 'array',
          elements: headerValue,
          description: 'Headers that pages may send. Not set: those that they ask for.',
        },
        exposed_headers: {
          type: 'array',
          elements: headerValue,
          description: 'Headers of answers that pages may read.',
        },
        methods: {
          type: 'array',
          default: ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'],
          elements: {
            type: 'string',
            one_of: ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'],
          },
          description: 'Methods that pages may use.',
        },
        max_age: { type: 'number', description: 'Seconds for which browsers keep the answer to a preflight request.' },
        credentials: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Browsers may send cookies and passwords.',
        },
        private_network: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Pages of the internet may call although this gateway is in a private network.',
        },
        preflight_continue: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Preflight requests are passed on to the API instead of being answered here.',
        },
      },
    },
  },
});

export type CorsConfig = Entity<typeof cors>['config'];

function originError(origin: string): string | undefined {
  // As data planes compile it, so that none of them refuses what is accepted here.
  if (origin === '*' || regexError(wholePattern(origin)) === undefined) return undefined;
  return `'${abridged(origin)}' is not a valid regex`;
}
