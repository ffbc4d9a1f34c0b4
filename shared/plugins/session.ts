import { randomSecret } from '../random-secret.ts';
import { anyHeaderName, headerValue, noConsumer, protocols } from '../schema/kinds.ts';
import { defineField, definePlugin, type Entity, type ShorthandField } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Names from before version 3.2. */
const olderNames: readonly ShorthandField[] = [
  {
    name: 'cookie_lifetime',
    field: { type: 'number', description: 'An earlier name of rolling_timeout.' },
    expand: (value) => ({ rolling_timeout: value }),
  },
  {
    name: 'cookie_idletime',
    field: { type: 'number', description: 'An earlier name of idling_timeout.' },
    expand: (value) => ({ idling_timeout: value ?? 0 }),
  },
  // Worked out by the session itself now.
  {
    name: 'cookie_renew',
    field: { type: 'number', description: 'Without effect: sessions are renewed in time by themselves.' },
    expand: () => ({}),
  },
  {
    name: 'cookie_discard',
    field: { type: 'number', description: 'An earlier name of stale_ttl.' },
    expand: (value) => ({ stale_ttl: value }),
  },
  {
    name: 'cookie_samesite',
    field: { type: 'string', description: 'An earlier name of cookie_same_site, with off for Lax.' },
    expand: (value) => ({ cookie_same_site: value === 'off' ? 'Lax' : value }),
  },
  {
    name: 'cookie_httponly',
    field: { type: 'boolean', description: 'An earlier name of cookie_http_only.' },
    expand: (value) => ({ cookie_http_only: value }),
  },
  {
    name: 'cookie_persistent',
    field: { type: 'boolean', description: 'An earlier name of remember.' },
    expand: (value) => ({ remember: value }),
  },
];

/** Which properties of a session are told in headers. */
const properties = defineField({
  type: 'set',
  elements: {
    type: 'string',
    one_of: ['id', 'audience', 'subject', 'timeout', 'idling-timeout', 'rolling-timeout', 'absolute-timeout'],
  },
});

/** Remembers an authenticated client by a cookie. */
export const session = definePlugin({
  name: 'session',
  version: KONG_VERSION,
  priority: 1900,
  phases: ['access', 'header_filter'],
  entities: ['sessions'],
  fields: {
    consumer: noConsumer,
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        secret: {
          type: 'string',
          required: false,
          default: randomSecret(44),
          encrypted: true,
          referenceable: true,
          description: 'What cookies are encrypted and signed with. Left out: one is made up.',
        },
        storage: {
          type: 'string',
          default: 'cookie',
          one_of: ['cookie', 'kong'],
          description: 'Where the session is: in the cookie itself, or in the control plane’s database.',
        },
        audience: {
          type: 'string',
          default: 'default',
          description: 'What sessions are for. Those for something else are not taken.',
        },
        idling_timeout: {
          type: 'number',
          default: 900,
          description: 'Seconds without a request until the session ends. 0: it does not.',
        },
        rolling_timeout: {
          type: 'number',
          default: 3600,
          description: 'Seconds until the session is made anew, or ends. 0: it does not.',
        },
        absolute_timeout: {
          type: 'number',
          default: 86400,
          description: 'Seconds that it lasts at the most, however often it is made anew. 0: for ever.',
        },
        stale_ttl: {
          type: 'number',
          default: 10,
          description: 'Seconds for which the old cookie is still taken after the session was made anew.',
        },
        cookie_name: { ...anyHeaderName, default: 'session', description: 'Name of the cookie.' },
        cookie_path: { ...headerValue, default: '/', description: 'Path that the cookie is for.' },
        cookie_domain: { ...headerValue, description: 'Domain that the cookie is for. Not set: this host alone.' },
        cookie_same_site: {
          type: 'string',
          default: 'Strict',
          one_of: ['Strict', 'Lax', 'None', 'Default'],
          description: 'Whether browsers send the cookie along with requests from other sites.',
        },
        cookie_http_only: { type: 'boolean', default: true, description: 'Scripts of pages cannot read the cookie.' },
        cookie_secure: { type: 'boolean', default: true, description: 'Browsers send the cookie over HTTPS alone.' },
        remember: {
          type: 'boolean',
          default: false,
          description: 'The session outlasts the browser, by a second cookie.',
        },
        remember_cookie_name: { ...anyHeaderName, default: 'remember', description: 'Name of the second cookie.' },
        remember_rolling_timeout: {
          type: 'number',
          default: 604800,
          description: 'Seconds until the second cookie is made anew, or ends.',
        },
        remember_absolute_timeout: {
          type: 'number',
          default: 2592000,
          description: 'Seconds that it lasts at the most. 0: for ever.',
        },
        response_headers: { ...properties, description: 'What of the session clients see in headers.' },
        request_headers: { ...properties, description: 'What of the session the API sees in headers.' },
        read_body_for_logout: {
          type: 'boolean',
          default: false,
          description: 'A field of a form or of JSON can log out.',
        },
        logout_methods: {
          type: 'set',
          default: ['POST', 'DELETE'],
          elements: { type: 'string', one_of: ['GET', 'POST', 'DELETE'] },
          description: 'Methods by which a client can log out.',
        },
        logout_query_arg: {
          type: 'string',
          default: 'session_logout',
          description: 'The query argument that logs out.',
        },
        logout_post_arg: {
          type: 'string',
          default: 'session_logout',
          description: 'The field of the body that logs out.',
        },
      },
      shorthand_fields: olderNames,
    },
  },
});

export type SessionConfig = Entity<typeof session>['config'];
