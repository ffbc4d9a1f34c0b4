import type { KeyAuthConfig } from '../../shared/plugins/key-auth.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { type BodyArguments, parseBodyArguments } from '../http/arguments/body-arguments.ts';
import { queryValues, withoutArgument } from '../proxy/query.ts';
import { authenticate, authenticateAnonymous, consumerOf, expired } from './consumer-identity.ts';
import type { Plugin, RequestContext } from './plugin.ts';

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

    async function authenticateByKey(request: RequestContext): Promise<Refusal | null> {
      const found = await findKey(config, request);
      if (found === 'duplicate') return unauthorized('Duplicate API key found');
      if (found === null || found.key === '') return unauthorized('No API key found in request');
      const credential = await request.lookup('keyauth_credentials', found.key);
      if (credential === null || expired(credential))
        return unauthorized(found.repeated ? 'Duplicate API key found' : 'Unauthorized');
      const consumer = await consumerOf(request, credential);
      if (consumer === null) return unauthorized('Unauthorized');
      const id = String(credential.id);
      authenticate(request, consumer, { id, identifier: id });
      return null;
    }

    return {
      async access(request) {
        if (!config.run_on_preflight && request.incoming.method === 'OPTIONS') return undefined;
        // With `anonymous` several authentication plugins are alternatives: the first that succeeds is enough.
        if (config.anonymous !== null && request.credential !== null) return undefined;
        const refusal = await authenticateByKey(request);
        if (refusal === null) return undefined;
        if (config.anonymous) return authenticateAnonymous(request, config.anonymous);
        return request.error(refusal.status, refusal.message, refusal.headers);
      },
    };
  },
};

export default keyAuth;

interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly headers: Record<string, string>;
}

interface FoundKey {
  readonly key: string;
  /** It may be several header lines, which the runtime joins with a comma: told apart only once it is unknown. */
  readonly repeated: boolean;
}

/** Bodies are searched up to this size. */
const BODY_LIMIT = 1 << 20;

async function findKey(config: KeyAuthConfig, request: RequestContext): Promise<FoundKey | 'duplicate' | null> {
  const headers = request.incoming.headers;
  let body: BodyArguments | null | undefined;
  const readArguments = async (): Promise<BodyArguments | null> => {
    if (body === undefined) {
      const bytes = await request.readBody(BODY_LIMIT);
      body = bytes === null ? null : parseBodyArguments(headers.get('content-type'), bytes);
    }
    return body;
  };

  for (const name of config.key_names) {
    let values: readonly (string | true)[] = [];
    if (config.key_in_header) {
      const value = headers.get(name) ?? headers.get(name.replaceAll('_', '-'));
      if (value !== null) values = [value];
    }
    const inHeader = values.length > 0;
    if (values.length === 0 && config.key_in_query) values = queryValues(request.query, name);
    if (values.length === 0 && config.key_in_body) values = (await readArguments())?.values(name) ?? [];
    if (values.length > 1) return 'duplicate';
    const [key] = values;
    if (typeof key !== 'string') continue;
    if (config.hide_credentials) hide(request, name, config.key_in_body ? await readArguments() : null);
    return { key, repeated: inHeader && key.includes(', ') };
  }
  return null;
}

function hide(request: RequestContext, name: string, body: BodyArguments | null): void {
  request.upstreamQuery = withoutArgument(request.upstreamQuery, name);
  request.upstreamHeaders.delete(name);
  request.upstreamHeaders.delete(name.replaceAll('_', '-'));
  if (body !== null) request.replaceBody(body.without(name));
}
