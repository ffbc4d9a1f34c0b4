import { parseHost } from '../schema/formats/host.ts';
import {
  autoTimestamp,
  cookieName,
  exactly,
  headerName,
  hostWithOptionalPort,
  path,
  tags,
  uuid,
} from '../schema/kinds.ts';
import { defineEntity, defineField, type EntityCheck } from '../schema/vocabulary.ts';
import { healthchecks } from './healthchecks.ts';

const HASH_INPUTS = ['none', 'consumer', 'ip', 'header', 'cookie', 'path', 'query_arg', 'uri_capture'] as const;

const hashInput = defineField({ type: 'string', default: 'none', one_of: HASH_INPUTS });
const parameter = defineField({ type: 'string', len_min: 1 });

/** A virtual host name with targets to balance over. */
export const upstreams = defineEntity({
  name: 'upstreams',
  primary_key: ['id'],
  endpoint_key: 'name',
  workspaceable: true,
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    name: {
      type: 'string',
      required: true,
      unique: true,
      custom_validator: nameError,
      description: 'What services name as their host.',
    },
    updated_at: autoTimestamp,
    algorithm: {
      type: 'string',
      default: 'round-robin',
      one_of: ['consistent-hashing', 'least-connections', 'round-robin', 'latency'],
      description: 'How requests are spread over targets.',
    },
    hash_on: { ...hashInput, description: 'What decides the target, by consistent hashing.' },
    hash_fallback: { ...hashInput, description: 'What decides it when a request has none of the first.' },
    hash_on_header: { ...headerName, description: 'The header whose value decides.' },
    hash_fallback_header: { ...headerName, description: 'The header whose value decides when the first does not.' },
    hash_on_cookie: {
      ...cookieName,
      description: 'The cookie whose value decides. It is made for clients that have none.',
    },
    hash_on_cookie_path: { ...path, default: '/', description: 'The path that the cookie is made for.' },
    hash_on_query_arg: { ...parameter, description: 'The query argument whose value decides.' },
    hash_fallback_query_arg: {
      ...parameter,
      description: 'The query argument whose value decides when the first does not.',
    },
    hash_on_uri_capture: { ...parameter, description: 'The named group in the route’s path whose value decides.' },
    hash_fallback_uri_capture: {
      ...parameter,
      description: 'The named group in the route’s path whose value decides when the first does not.',
    },
    slots: {
      type: 'integer',
      default: 10000,
      between: [10, 65536],
      description: 'How finely consistent hashing divides the targets.',
    },
    healthchecks: { ...healthchecks, description: 'When a target is taken to be ill, and well again.' },
    tags,
    host_header: { ...hostWithOptionalPort, description: 'The host that targets see in requests. Not set: their own.' },
    client_certificate: {
      type: 'foreign',
      reference: 'certificates',
      description: 'Shown to targets, by https and tls.',
    },
    use_srv_name: {
      type: 'boolean',
      default: false,
      description: 'Targets see the name that a SRV record gave as the host.',
    },
  },
  entity_checks: [
    needs('hash_on', 'header', 'hash_on_header'),
    needs('hash_fallback', 'header', 'hash_fallback_header'),
    needs('hash_on', 'cookie', 'hash_on_cookie'),
    needs('hash_fallback', 'cookie', 'hash_on_cookie'),
    fallbackIs('none', ['none']),
    fallbackIs('cookie', ['none']),
    fallbackIs('consumer', ['none', 'ip', 'header', 'cookie', 'path', 'query_arg', 'uri_capture']),
    fallbackIs('ip', ['none', 'consumer', 'header', 'cookie', 'path', 'query_arg', 'uri_capture']),
    fallbackIs('path', ['none', 'consumer', 'header', 'cookie', 'query_arg', 'ip', 'uri_capture']),
    { distinct: ['hash_on_header', 'hash_fallback_header'] },
    needs('hash_on', 'query_arg', 'hash_on_query_arg'),
    needs('hash_fallback', 'query_arg', 'hash_fallback_query_arg'),
    { distinct: ['hash_on_query_arg', 'hash_fallback_query_arg'] },
    needs('hash_on', 'uri_capture', 'hash_on_uri_capture'),
    needs('hash_fallback', 'uri_capture', 'hash_fallback_uri_capture'),
    { distinct: ['hash_on_uri_capture', 'hash_fallback_uri_capture'] },
  ],
  // The algorithm and what it hashes by settle each other: the one that is given decides.
  shorthand_fields: [
    {
      name: 'algorithm',
      field: { type: 'string' },
      expand: (algorithm) => {
        if (algorithm === 'least-connections' || algorithm === 'latency') return { algorithm, hash_on: null };
        // Nothing to hash is what `hash_on` says where it says nothing else.
        return { algorithm: algorithm === 'consistent-hashing' || algorithm === null ? 'round-robin' : algorithm };
      },
    },
    {
      name: 'hash_on',
      field: { type: 'string' },
      expand: (hash_on) => {
        if (hash_on === null) return { hash_on: 'none' };
        return { hash_on, algorithm: hash_on === 'none' ? 'round-robin' : 'consistent-hashing' };
      },
    },
  ],
});

function needs(input: 'hash_on' | 'hash_fallback', value: string, field: string): EntityCheck {
  return {
    conditional: {
      if_field: input,
      if_match: { match: exactly(value) },
      then_field: field,
      then_match: { required: true },
    },
  };
}

function fallbackIs(hashOn: string, allowed: readonly string[]): EntityCheck {
  return {
    conditional: {
      if_field: 'hash_on',
      if_match: { match: exactly(hashOn) },
      then_field: 'hash_fallback',
      then_match: { one_of: allowed },
    },
  };
}

function nameError(name: string): string | undefined {
  const host = parseHost(name);
  if ('error' in host) return `Invalid name ('${name}'); must be a valid hostname`;
  if (host.type !== 'name') return `Invalid name ('${name}'); no ip addresses allowed`;
  return host.port === undefined ? undefined : `Invalid name ('${name}'); no port allowed`;
}
