import { randomSecret } from '../random-secret.ts';
import { anyHeaderName, headerValue, noConsumer, protocols } from '../schema/kinds.ts';
import { defineField, definePlugin, type Entity, type ShorthandField } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Names from before version 3.2. */
const olderNames: readonly ShorthandField[] = [
  { name: 'cookie_lifetime', field: { type: 'number' }, expand: (value) => ({ rolling_timeout: value }) },
  { name: 'cookie_idletime', field: { type: 'number' }, expand: (value) => ({ idling_timeout: value ?? 0 }) },
  // Worked out by the session itself now.
  { name: 'cookie_renew', field: { type: 'number' }, expand: () => ({}) },
  { name: 'cookie_discard', field: { type: 'number' }, expand: (value) => ({ stale_ttl: value }) },
  {
    name: 'cookie_samesite',
    field: { type: 'string' },
    expand: (value) => ({ cookie_same_site: value === 'off' ? 'Lax' : value }),
  },
  { name: 'cookie_httponly', field: { type: 'boolean' }, expand: (value) => ({ cookie_http_only: value }) },
  { name: 'cookie_persistent', field: { type: 'boolean' }, expand: (value) => ({ remember: value }) },
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
        secret: { type: 'string', required: false, default: randomSecret(44), encrypted: true, referenceable: true },
        storage: { type: 'string', default: 'cookie', one_of: ['cookie', 'kong'] },
        audience: { type: 'string', default: 'default' },
        idling_timeout: { type: 'number', default: 900 },
        rolling_timeout: { type: 'number', default: 3600 },
        absolute_timeout: { type: 'number', default: 86400 },
        stale_ttl: { type: 'number', default: 10 },
        cookie_name: { ...anyHeaderName, default: 'session' },
        cookie_path: { ...headerValue, default: '/' },
        cookie_domain: headerValue,
        cookie_same_site: { type: 'string', default: 'Strict', one_of: ['Strict', 'Lax', 'None', 'Default'] },
        cookie_http_only: { type: 'boolean', default: true },
        cookie_secure: { type: 'boolean', default: true },
        remember: { type: 'boolean', default: false },
        remember_cookie_name: { ...anyHeaderName, default: 'remember' },
        remember_rolling_timeout: { type: 'number', default: 604800 },
        remember_absolute_timeout: { type: 'number', default: 2592000 },
        response_headers: properties,
        request_headers: properties,
        read_body_for_logout: { type: 'boolean', default: false },
        logout_methods: {
          type: 'set',
          default: ['POST', 'DELETE'],
          elements: { type: 'string', one_of: ['GET', 'POST', 'DELETE'] },
        },
        logout_query_arg: { type: 'string', default: 'session_logout' },
        logout_post_arg: { type: 'string', default: 'session_logout' },
      },
      shorthand_fields: olderNames,
    },
  },
});

export type SessionConfig = Entity<typeof session>['config'];
