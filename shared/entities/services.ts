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
    name,
    retries: { type: 'integer', default: 5, between: [0, 32767] },
    protocol: { ...protocol, required: true, default: 'http' },
    host: { ...host, required: true },
    port: { ...port, required: true, default: 80 },
    path,
    // Milliseconds.
    connect_timeout: { type: 'integer', default: 60000, between: [1, 2147483646] },
    write_timeout: { type: 'integer', default: 60000, between: [1, 2147483646] },
    read_timeout: { type: 'integer', default: 60000, between: [1, 2147483646] },
    tags,
    client_certificate: { type: 'foreign', reference: 'certificates' },
    tls_verify: { type: 'boolean' },
    tls_verify_depth: { type: 'integer', default: null, between: [0, 64] },
    ca_certificates: { type: 'array', elements: { type: 'string', uuid: true } },
    enabled: { type: 'boolean', required: true, default: true },
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
