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
        ldap_host: { ...host, required: true },
        ldap_port: { ...port, required: true, default: 389 },
        ldaps: { type: 'boolean', required: true, default: false },
        start_tls: { type: 'boolean', required: true, default: false },
        verify_ldap_host: { type: 'boolean', required: true, default: false },
        base_dn: { type: 'string', required: true },
        attribute: { type: 'string', required: true },
        cache_ttl: { type: 'number', required: true, default: 60 },
        hide_credentials: { type: 'boolean', required: true, default: false },
        timeout: { type: 'number', default: 10000 },
        keepalive: { type: 'number', default: 60000 },
        anonymous: { type: 'string' },
        header_type: { ...headerValue, default: 'ldap' },
        realm: { ...headerValue, required: false },
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
