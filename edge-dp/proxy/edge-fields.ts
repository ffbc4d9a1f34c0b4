/** The names `edge.*` fields have in expressions, with those Cloudflare gives them in `request.cf`. */
const NAMES: Readonly<Record<string, string>> = {
  asn: 'asn',
  as_organization: 'asOrganization',
  city: 'city',
  colo: 'colo',
  continent: 'continent',
  country: 'country',
  http_protocol: 'httpProtocol',
  postal_code: 'postalCode',
  region: 'region',
  region_code: 'regionCode',
  timezone: 'timezone',
};

/**
 * What Cloudflare's network knows of the client, for `edge.*` in expressions. Only to be used where the network makes
 * `request.cf`: on other hosts a client could.
 */
export function edgeFields(cf: unknown): Readonly<Record<string, unknown>> {
  const fields: Record<string, unknown> = {};
  if (typeof cf !== 'object' || cf === null) return fields;
  for (const [field, name] of Object.entries(NAMES)) fields[field] = Reflect.get(cf, name);
  return fields;
}

/** The data center that took the request, where the network says so. */
export function edgeColo(cf: unknown): string | null {
  const colo: unknown = typeof cf === 'object' && cf !== null ? Reflect.get(cf, 'colo') : null;
  return typeof colo === 'string' && COLO.test(colo) ? colo : null;
}

const COLO = /^[A-Z0-9]{2,8}$/;
