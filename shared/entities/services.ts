import { parseUrl } from '../schema/formats/text.ts';
import { autoTimestamp, host, name, path, port, protocol, tags, uuid } from '../schema/kinds.ts';
import { defineEntity, type EntityCheck, type ShorthandField } from '../schema/vocabulary.ts';

/** An upstream API: where requests go. */
export const services = defineEntity({
  name: 'services',
  primary_key: ['id'],
  endpoint_key: 'name',
  workspaceable: true,
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    name: { ...name, description: 'By which it is found here and in the Admin API.' },
    retries: {
      type: 'integer',
      default: 5,
      between: [0, 32767],
      description: 'How often a request that could not be passed on is tried again.',
    },
    protocol: { ...protocol, required: true, default: 'http', description: 'How the gateway speaks to the API.' },
    host: { ...host, required: true, description: 'Host name or address of the API, or the name of an upstream.' },
    port: { ...port, required: true, default: 80, description: 'Where the API listens.' },
    path: { ...path, description: 'Put before the path of each request.' },
    connect_timeout: {
      type: 'integer',
      default: 60000,
      between: [1, 2147483646],
      description: 'Milliseconds to connect.',
    },
    write_timeout: {
      type: 'integer',
      default: 60000,
      between: [1, 2147483646],
      description: 'Milliseconds between two writes to the API.',
    },
    read_timeout: {
      type: 'integer',
      default: 60000,
      between: [1, 2147483646],
      description: 'Milliseconds between two reads from the API.',
    },
    tags,
    client_certificate: {
      type: 'foreign',
      reference: 'certificates',
      description: 'Shown to the API, by https and tls.',
    },
    tls_verify: {
      type: 'boolean',
      description: 'Whether the API’s certificate is checked. Not set: as the data plane does by default.',
    },
    tls_verify_depth: {
      type: 'integer',
      default: null,
      between: [0, 64],
      description: 'How many certificates may stand between the API’s and a CA.',
    },
    ca_certificates: {
      type: 'array',
      elements: { type: 'string', uuid: true },
      description: 'IDs of CA certificates that the API’s is checked by.',
    },
    enabled: {
      type: 'boolean',
      required: true,
      default: true,
      description: 'When it is off, its routes match nothing.',
    },
  },
  entity_checks: [
    {
      conditional: {
        if_field: 'protocol',
        if_match: { one_of: ['tcp', 'tls', 'udp', 'grpc', 'grpcs'] },
        then_field: 'path',
        then_match: { eq: null },
      },
    },
    onlyOverTls('client_certificate'),
    onlyOverTls('tls_verify'),
    onlyOverTls('tls_verify_depth'),
    onlyOverTls('ca_certificates'),
  ],
  shorthand_fields: [urlShorthand()],
});

function onlyOverTls(field: string): EntityCheck {
  return {
    conditional: {
      if_field: 'protocol',
      if_match: { not_one_of: ['https', 'tls'] },
      then_field: field,
      then_match: { eq: null },
    },
  };
}

/** `url` stands for protocol, host, port and path at once. */
function urlShorthand(): ShorthandField {
  return {
    name: 'url',
    field: { type: 'string' },
    expand: (value) => {
      // No URL is no host, which a service must have.
      if (typeof value !== 'string') return { host: null };
      const url = parseUrl(value);
      const port = url.port === undefined ? undefined : Number(url.port);
      const protocol = url.scheme ?? { 80: 'http', 443: 'https' }[port ?? 0] ?? 'http';
      return {
        protocol,
        host: url.host ?? null,
        port: port ?? { http: 80, https: 443 }[protocol] ?? 80,
        path: url.path ?? null,
      };
    },
  };
}
