import { normalizePath } from '../../shared/normalize-path.ts';
import type { OAuth2Config } from '../../shared/plugins/oauth2.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { firstLine } from '../http/fields.ts';
import { queryValues, withoutArgument } from '../proxy/query.ts';
import { authenticateBy, authenticator, consumerIdOf, type Refusal } from './authentication.ts';
import { authorize } from './oauth2/authorize.ts';
import { ClientSecrets, clientById } from './oauth2/clients.ts';
import type { Endpoint } from './oauth2/endpoint.ts';
import { issue } from './oauth2/issue.ts';
import { parametersOf } from './oauth2/parameters.ts';
import { type Token, Tokens } from './oauth2/tokens.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';

/**
 * Issues tokens at two endpoints of every route it is on (RFC 6749, RFC 7636), and authenticates by them (RFC 6750). What it issues
 * is good on every data plane.
 */
const oauth2: Plugin<OAuth2Config> = {
  name: 'oauth2',
  version: KONG_VERSION,
  priority: 1400,
  compile(config, place, services) {
    const tokens = new Tokens(services);
    const endpoint: Endpoint = { config, place, tokens, secrets: new ClientSecrets(services) };
    const header = (error?: string, description?: string): Readonly<Record<string, string>> => {
      const parts = [
        ...(config.realm ? [`realm="${config.realm}"`] : []),
        ...(error === undefined ? [] : [`error="${error}"`]),
        ...(description === undefined ? [] : [`error_description="${description}"`]),
      ];
      return { 'WWW-Authenticate': ['Bearer', ...parts].join(' ') };
    };
    const refusal = (error: string, description: string, headers = header(error, description)): Refusal => ({
      status: 401,
      body: { error, error_description: description },
      headers,
    });
    const missing = refusal('invalid_request', 'The access token is missing', header());
    const invalid = refusal('invalid_token', 'The access token is invalid or has expired');
    const global = refusal(
      'invalid_token',
      "The access token is global, but the current plugin is configured without 'global_credentials'",
      invalid.headers,
    );

    const judge = async (request: GatewayRequest, token: Token | null): Promise<Refusal | null> => {
      if (token === null) return invalid;
      if (token.service === null && !config.global_credentials) return global;
      if (token.service !== null && token.service !== request.service?.id) return invalid;
      if (token.expiresIn > 0 && Date.now() / 1000 - token.createdAt > token.expiresIn) return invalid;
      const client = await clientById(request, token.credential);
      if (client === null || !(await authenticateBy(request, client.row, client.clientId))) return invalid;
      if (token.scope !== null) request.headers.set('X-Authenticated-Scope', token.scope);
      if (token.userId !== null) request.headers.set('X-Authenticated-UserId', token.userId);
      request.identity.authenticatedUser = token.userId;
      return null;
    };

    const authenticate = authenticator(config.anonymous, async (request) => {
      const access = await accessTokenOf(request, config);
      if (access === undefined || access === '') return missing;
      const token = await tokens.find(request, access);
      if (token !== null && config.hide_credentials) hideBare(request, config, access);
      return judge(request, token);
    });

    const wrongMethod = (request: GatewayRequest, name: string) => {
      const description = `The HTTP method ${request.method} is invalid for the ${name} endpoint`;
      const body = { error: 'invalid_method', error_description: description };
      return request.exit(405, body, header('invalid_method', description));
    };

    return {
      access(request) {
        const path = normalizePath(request.rawPath).replace(/\/$/, '');
        if (path.endsWith('/oauth2/token')) {
          return request.method === 'POST' ? issue(request, endpoint) : wrongMethod(request, 'token');
        }
        if (path.endsWith('/oauth2/authorize')) {
          return request.method === 'POST' ? authorize(request, endpoint) : wrongMethod(request, 'authorization');
        }
        request.headers.delete('X-Authenticated-Scope');
        request.headers.delete('X-Authenticated-UserId');
        return authenticate(request);
      },
      async claimant(request) {
        const value = firstLine(request.headers, config.auth_header_name ?? 'authorization');
        const access =
          value === null ? queryValues(request.query, 'access_token')[0] : (BEARER.exec(value)?.[1] ?? value);
        const token = typeof access === 'string' && access !== '' ? await tokens.find(request, access) : null;
        return token === null ? undefined : consumerIdOf((await clientById(request, token.credential))?.row ?? null);
      },
    };
  },
};

export default oauth2;

/** The token a request comes with, hidden from the upstream where that is wanted. */
async function accessTokenOf(
  request: GatewayRequest,
  { auth_header_name, hide_credentials }: OAuth2Config,
): Promise<string | undefined> {
  const name = auth_header_name ?? 'authorization';
  const value = firstLine(request.headers, name);
  const bearer = value === null ? undefined : BEARER.exec(value)?.[1];
  if (bearer !== undefined) {
    if (hide_credentials) request.headers.delete(name);
    return bearer;
  }
  const token = value ?? (await parametersOf(request)).text('access_token');
  if (hide_credentials && token !== undefined) await hide(request);
  return token;
}

/** A token may be all of its header, as in Kong: one that is none stays, since another plugin may know what it is. */
function hideBare(request: GatewayRequest, { auth_header_name }: OAuth2Config, token: string): void {
  const name = auth_header_name ?? 'authorization';
  if (firstLine(request.headers, name) === token) request.headers.delete(name);
}

/** RFC 6750 section 2.1, and the name it had in drafts; of several lines, where they are joined, the first. */
const BEARER = /^\s*(?:bearer|token)\s+(\S+?)\s*(?:, .*)?$/i;

/** Bodies are searched up to this size. */
const BODY_LIMIT = 1 << 20;

async function hide(request: GatewayRequest): Promise<void> {
  if (queryValues(request.query, 'access_token').length > 0) {
    request.query = withoutArgument(request.query, 'access_token');
  }
  if (request.method === 'GET') return;
  const fields = await request.body.arguments(BODY_LIMIT);
  if (fields !== null && fields.values('access_token').length > 0) request.body.replace(fields.without('access_token'));
}
