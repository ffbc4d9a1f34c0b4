import type { KeyAuthConfig } from '../../shared/plugins/key-auth.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { queryValues, withoutArgument } from '../proxy/query.ts';
import { authenticateBy, authenticator, expired, type Refusal } from './authentication.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';

/**
 * Authenticates by an API key in a header, the query string or the body. Data planes hold only the SHA-256 of keys, so
 * the credential is found by what the client sent, though only its digest travels in the bundle.
 */
const keyAuth: Plugin<KeyAuthConfig> = {
  name: 'key-auth',
  version: KONG_VERSION,
  priority: 1250,
  compile(config) {
    const challenge = { 'WWW-Authenticate': config.realm ? `Key realm="${config.realm}"` : 'Key' };
    const unauthorized = (message: string): Refusal => ({ status: 401, message, headers: challenge });

    const authenticate = authenticator(config.anonymous, async (request) => {
      const found = await findKey(config, request);
      if (found === 'duplicate') return unauthorized('Duplicate API key found');
      if (found === null || found.key === '') return unauthorized('No API key found in request');
      const credential = await request.lookup('keyauth_credentials', found.key);
      if (credential === null || expired(credential))
        return unauthorized(found.repeated ? 'Duplicate API key found' : 'Unauthorized');
      const known = await authenticateBy(request, credential, String(credential.id));
      return known ? null : unauthorized('Unauthorized');
    });

    return {
      access(request) {
        if (!config.run_on_preflight && request.method === 'OPTIONS') return undefined;
        return authenticate(request);
      },
    };
  },
};

export default keyAuth;

interface FoundKey {
  readonly key: string;
  /** It may be several header lines, which the runtime joins with a comma: told apart only once it is unknown. */
  readonly repeated: boolean;
}

/** Bodies are searched up to this size. */
const BODY_LIMIT = 1 << 20;

async function findKey(config: KeyAuthConfig, request: GatewayRequest): Promise<FoundKey | 'duplicate' | null> {
  const { headers, body } = request;
  for (const name of config.key_names) {
    let values: readonly (string | true)[] = [];
    if (config.key_in_header) {
      const value = headers.get(name) ?? headers.get(name.replaceAll('_', '-'));
      if (value !== null) values = [value];
    }
    const inHeader = values.length > 0;
    if (values.length === 0 && config.key_in_query) values = queryValues(request.query, name);
    if (values.length === 0 && config.key_in_body) values = (await body.arguments(BODY_LIMIT))?.values(name) ?? [];
    if (values.length > 1) return 'duplicate';
    const [key] = values;
    if (typeof key !== 'string') continue;
    if (config.hide_credentials) await hide(request, name, config.key_in_body);
    return { key, repeated: inHeader && key.includes(', ') };
  }
  return null;
}

async function hide(request: GatewayRequest, name: string, inBody: boolean): Promise<void> {
  request.query = withoutArgument(request.query, name);
  request.headers.delete(name);
  request.headers.delete(name.replaceAll('_', '-'));
  if (!inBody) return;
  const fields = await request.body.arguments(BODY_LIMIT);
  if (fields !== null && fields.values(name).length > 0) request.body.replace(fields.without(name));
}
