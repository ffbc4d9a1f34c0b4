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
        namespace: { type: 'string', required: true, default: '', len_min: 0, custom_validator: namespaceError },
        scan_count: { type: 'number', required: false, default: 10 },
      },
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
  https: { type: 'boolean', default: false },
  host,
  port,
  kv_path: text,
  timeout: { type: 'number' },
  token: { type: 'string', referenceable: true },
} as const;

const storageConfig = defineField({
  type: 'record',
  required: true,
  fields: {
    shm: {
      type: 'record',
      required: true,
      fields: { shm_name: { type: 'string', default: 'kong', custom_validator: dictionaryError } },
    },
    kong: { type: 'record', required: true, fields: {} },
    redis: redisStorage,
    consul: { type: 'record', required: true, fields: store },
    vault: {
      type: 'record',
      required: true,
      fields: {
        ...store,
        tls_verify: { type: 'boolean', default: true },
        tls_server_name: text,
        auth_method: { type: 'string', default: 'token', one_of: ['token', 'kubernetes'] },
        auth_path: text,
        auth_role: text,
        jwt_path: text,
      },
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
        account_email: { ...secret, required: true, match: { pattern: '%w*%p*@+%w*%.?%w*', regex: /@/ } },
        account_key: {
          type: 'record',
          required: false,
          fields: { key_id: { type: 'string', required: true }, key_set: text },
        },
        api_uri: { ...url, default: 'https://acme-v02.api.letsencrypt.org/directory' },
        tos_accepted: { type: 'boolean', default: false },
        eab_kid: secret,
        eab_hmac_key: secret,
        cert_type: { type: 'string', default: 'rsa', one_of: ['rsa', 'ecc'] },
        rsa_key_size: { type: 'number', default: 4096, one_of: [2048, 3072, 4096] },
        renew_threshold_days: { type: 'number', default: 14 },
        domains: hosts,
        allow_any_domain: { type: 'boolean', default: false },
        fail_backoff_minutes: { type: 'number', default: 5 },
        storage: { type: 'string', default: 'shm', one_of: ['kong', 'shm', 'redis', 'consul', 'vault'] },
        storage_config: storageConfig,
        preferred_chain: text,
        enable_ipv4_common_name: { type: 'boolean', default: true },
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
