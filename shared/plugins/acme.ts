import { need } from '../cluster/need.ts';
import { host, hosts, httpProtocols, noConsumer, noRoute, noService, port, url } from '../schema/kinds.ts';
import { defineField, definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { redis } from './fields/redis.ts';
import { renamed } from './fields/renamed.ts';
import { isSharedDictionary } from './fields/shared-dictionaries.ts';

const text = defineField({ type: 'string' });
const secret = defineField({ type: 'string', encrypted: true, referenceable: true });

const redisStorage = defineField({
  type: 'record',
  required: true,
  fields: {
    ...redis.fields,
    extra_options: {
      type: 'record',
      required: true,
      fields: {
        namespace: {
          type: 'string',
          required: true,
          default: '',
          len_min: 0,
          custom_validator: namespaceError,
          description: 'Put before each key.',
        },
        scan_count: {
          type: 'number',
          required: false,
          default: 10,
          description: 'How many keys are looked at in one step when all are listed.',
        },
      },
      description: 'How keys are kept in this Redis.',
    },
  },
  shorthand_fields: [
    renamed('auth', ['password'], { type: 'string', len_min: 0 }),
    renamed('ssl_server_name', ['server_name'], { type: 'string' }),
    renamed('namespace', ['extra_options', 'namespace'], { type: 'string', len_min: 0 }),
    renamed('scan_count', ['extra_options', 'scan_count'], { type: 'integer' }),
  ],
});

/** What Consul and Vault are reached by. Times in milliseconds. */
const store = {
  https: { type: 'boolean', default: false, description: 'Asked over TLS.' },
  host: { ...host, description: 'Host name or address.' },
  port: { ...port, description: 'Where it listens.' },
  kv_path: { ...text, description: 'Put before each key.' },
  timeout: { type: 'number', description: 'Milliseconds until it is given up.' },
  token: { type: 'string', referenceable: true, description: 'What the gateway shows to be let in.' },
} as const;

const storageConfig = defineField({
  type: 'record',
  required: true,
  fields: {
    shm: {
      type: 'record',
      required: true,
      fields: {
        shm_name: {
          type: 'string',
          default: 'kong',
          custom_validator: dictionaryError,
          description: 'The memory zone, by the name that Kong has for it.',
        },
      },
      description: 'What storage in the memory of data planes is told.',
    },
    kong: {
      type: 'record',
      required: true,
      fields: {},
      description: 'Storage in the control plane’s database: nothing to set.',
    },
    redis: { ...redisStorage, description: 'Where Redis is, for storage there.' },
    consul: { type: 'record', required: true, fields: store, description: 'Where Consul is, for storage there.' },
    vault: {
      type: 'record',
      required: true,
      fields: {
        ...store,
        tls_verify: { type: 'boolean', default: true, description: 'Whether Vault’s certificate is checked.' },
        tls_server_name: { ...text, description: 'Server name of the TLS handshake with Vault.' },
        auth_method: {
          type: 'string',
          default: 'token',
          one_of: ['token', 'kubernetes'],
          description: 'How the gateway is let in: by a token, or by its Kubernetes service account.',
        },
        auth_path: { ...text, description: 'Where in Vault the Kubernetes login is.' },
        auth_role: { ...text, description: 'The role to log in as.' },
        jwt_path: { ...text, description: 'The file with the token of the service account.' },
      },
      description: 'Where HashiCorp Vault is, for storage there.',
    },
  },
});

/** Gets certificates from an ACME server (RFC 8555). */
export const acme = definePlugin({
  name: 'acme',
  version: KONG_VERSION,
  priority: 1705,
  phases: ['init_worker', 'configure', 'certificate', 'access'],
  entities: ['acme_storage'],
  needs: () => [need('inbound_sni', 'name', 'acme')],
  fields: {
    consumer: noConsumer,
    service: noService,
    route: noRoute,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        account_email: {
          ...secret,
          required: true,
          match: { pattern: '%w*%p*@+%w*%.?%w*', regex: /@/ },
          description: 'Where the CA writes to, such as when a certificate is about to run out.',
        },
        account_key: {
          type: 'record',
          required: false,
          fields: {
            key_id: { type: 'string', required: true, description: 'Its kid.' },
            key_set: { ...text, description: 'The name of the key set it is in.' },
          },
          description: 'A key in the Admin API to use for the account. Not set: one is made.',
        },
        api_uri: {
          ...url,
          default: 'https://acme-v02.api.letsencrypt.org/directory',
          description: 'The directory of the CA, by RFC 8555.',
        },
        tos_accepted: {
          type: 'boolean',
          default: false,
          description: 'You accept the CA’s terms of service. Let’s Encrypt requires it.',
        },
        eab_kid: {
          ...secret,
          description: 'ID of the external account that the CA gave you, where it binds accounts.',
        },
        eab_hmac_key: { ...secret, description: 'Key of that external account.' },
        cert_type: {
          type: 'string',
          default: 'rsa',
          one_of: ['rsa', 'ecc'],
          description: 'The kind of key certificates are for.',
        },
        rsa_key_size: { type: 'number', default: 4096, one_of: [2048, 3072, 4096], description: 'Bits of RSA keys.' },
        renew_threshold_days: {
          type: 'number',
          default: 14,
          description: 'Days before its end that a certificate is made anew.',
        },
        domains: {
          ...hosts,
          description: 'Host names for which certificates are made, as api.example.com or *.example.com.',
        },
        allow_any_domain: {
          type: 'boolean',
          default: false,
          description:
            'Certificates are made for whatever host a client asks for. Anybody can then use up what the CA allows you.',
        },
        fail_backoff_minutes: {
          type: 'number',
          default: 5,
          description: 'Minutes before a certificate that could not be had is asked for again.',
        },
        storage: {
          type: 'string',
          default: 'shm',
          one_of: ['kong', 'shm', 'redis', 'consul', 'vault'],
          description: 'Where certificates and accounts are kept.',
        },
        storage_config: {
          ...storageConfig,
          description: 'Settings of each storage. Only those of the chosen one count.',
        },
        preferred_chain: {
          ...text,
          description: 'Of several chains the CA offers, the one whose issuer has this common name.',
        },
        enable_ipv4_common_name: {
          type: 'boolean',
          default: true,
          description: 'Challenges for IPv4 addresses are answered. No certificates are ordered for them.',
        },
      },
    },
  },
  entity_checks: [
    {
      conditional: {
        if_field: 'config.api_uri',
        if_match: {
          one_of: ['https://acme-v02.api.letsencrypt.org', 'https://acme-staging-v02.api.letsencrypt.org'],
        },
        then_field: 'config.tos_accepted',
        then_match: { eq: true },
        then_err: 'terms of service must be accepted, see https://letsencrypt.org/repository/',
      },
    },
    {
      conditional: {
        if_field: 'config.storage',
        if_match: { eq: 'redis' },
        then_field: 'config.storage_config.redis.host',
        then_match: { required: true },
      },
    },
    {
      conditional: {
        if_field: 'config.storage',
        if_match: { eq: 'redis' },
        then_field: 'config.storage_config.redis.port',
        then_match: { required: true },
      },
    },
    // Kong refuses storages by its own role and database here; a role that serves both planes takes them all.
    { custom_entity_check: { field_sources: ['config.storage'], fn: () => undefined } },
  ],
});

export type AcmeConfig = Entity<typeof acme>['config'];

const RESERVED = ['kong_acme:renew_config:', 'kong_acme:renew_last_run', 'kong_acme:cert_key:'];

function namespaceError(namespace: string): string | undefined {
  const word = RESERVED.find((reserved) => namespace.startsWith(reserved));
  return word === undefined ? undefined : `namespace can't be prefixed with reserved word: ${word}`;
}

function dictionaryError(name: string): string | undefined {
  return isSharedDictionary(name) ? undefined : `failed validating: ${name}`;
}
