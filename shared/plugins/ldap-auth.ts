import { need } from '../cluster/need.ts';
import { headerValue, host, httpProtocols, noConsumer, port } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Asks for a user name and password known to an LDAP server. */
export const ldapAuth = definePlugin({
  name: 'ldap-auth',
  version: KONG_VERSION,
  priority: 1200,
  phases: ['access'],
  *needs({ ldaps, start_tls, verify_ldap_host }) {
    if ((ldaps === true || start_tls === true) && verify_ldap_host !== true) {
      yield need('tls_unverified', 'config.verify_ldap_host', false);
    }
  },
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        ldap_host: { ...host, required: true, description: 'Where the LDAP server is.' },
        ldap_port: { ...port, required: true, default: 389, description: 'Where it listens; 636 is usual with LDAPS.' },
        ldaps: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'TLS from the beginning. Not together with StartTLS.',
        },
        start_tls: { type: 'boolean', required: true, default: false, description: 'TLS from the first message on.' },
        verify_ldap_host: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Whether the server’s certificate is checked.',
        },
        base_dn: { type: 'string', required: true, description: 'Where users are, as ou=people,dc=example,dc=com.' },
        attribute: {
          type: 'string',
          required: true,
          description: 'The attribute that has the user name, as uid or cn.',
        },
        cache_ttl: {
          type: 'number',
          required: true,
          default: 60,
          description: 'Seconds for which an answer of the server is used again.',
        },
        hide_credentials: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The API does not see what the client showed.',
        },
        timeout: { type: 'number', default: 10000, description: 'Milliseconds until the server is given up.' },
        keepalive: {
          type: 'number',
          default: 60000,
          description: 'Milliseconds for which an idle connection is kept.',
        },
        anonymous: {
          type: 'string',
          description:
            'Consumer that those count as who show nothing: its name or ID. Not set: they are refused with 401.',
        },
        header_type: {
          ...headerValue,
          default: 'ldap',
          description: 'The word before the credentials in the Authorization header.',
        },
        realm: { ...headerValue, required: false, description: 'Said in WWW-Authenticate when a request is refused.' },
      },
      entity_checks: [
        {
          conditional: {
            if_field: 'ldaps',
            if_match: { eq: true },
            then_field: 'start_tls',
            then_match: { eq: false },
            then_err: "'ldaps' and 'start_tls' cannot be enabled simultaneously",
          },
        },
      ],
    },
  },
});

export type LdapAuthConfig = Entity<typeof ldapAuth>['config'];
