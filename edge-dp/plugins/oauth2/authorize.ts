import type { HttpResponse } from '../../http/messages.ts';
import { queryValues } from '../../proxy/query.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import { type Client, findClient } from './clients.ts';
import {
  answer,
  described,
  type Endpoint,
  FOREIGN_REDIRECT_URI,
  grantOf,
  INVALID_CLIENT,
  INVALID_PROVISION_KEY,
  insecure,
  isError,
  type ProtocolError,
  provisioned,
  requiresProof,
  scopeOf,
  serviceOf,
  userIdOf,
} from './endpoint.ts';
import { type Parameters, parametersOf } from './parameters.ts';

/** What is said to the client by way of its redirect URI. */
type Said = Readonly<Record<string, string | number | boolean>>;

/**
 * The authorization endpoint (RFC 6749 section 3.1), as the page at which people log in calls it: with the provision key and the
 * user, it gets the redirect URI to send them to.
 */
export async function authorize(request: GatewayRequest, endpoint: Endpoint): Promise<HttpResponse> {
  const { config } = endpoint;
  const parameters = await parametersOf(request);
  const state = parameters.echo('state');
  const withState = (said: Said): Said => ({ ...said, ...(state !== undefined && { state }) });
  const refuse = (error: ProtocolError): HttpResponse => answer(request, 400, withState({ ...error }));

  const insecurity = insecure(request, config);
  if (insecurity !== null) return refuse(insecurity);
  if (!provisioned(parameters, config)) return refuse(INVALID_PROVISION_KEY);
  const userId = userIdOf(parameters);
  if (isError(userId)) return refuse(userId);
  const client = await findClient(request, parameters.text('client_id'));
  if (client?.redirectUris == null) return refuse(challengeOf(parameters).error ?? INVALID_CLIENT);

  const [registered] = client.redirectUris;
  const wanted = parameters.has('redirect_uri') ? parameters.text('redirect_uri') : registered;
  const known = wanted !== undefined && client.redirectUris.includes(wanted);
  const uri = known ? wanted : registered;
  const outcome = await decide(request, endpoint, parameters, client, userId, known);
  // Of an empty list none is known: the client cannot be told by way of one.
  if (uri === undefined) return refuse(isError(outcome) ? outcome : FOREIGN_REDIRECT_URI);
  if (isError(outcome)) return answer(request, 400, { redirect_uri: inQuery(uri, withState({ ...outcome })) });
  if ('code' in outcome) return answer(request, 200, { redirect_uri: inQuery(uri, withState(outcome)) });
  return answer(request, 200, { redirect_uri: `${uri}#${encoded(withState(outcome))}` });
}

/** What the client gets; of several things that are wrong the last one that Kong looks at. */
async function decide(
  request: GatewayRequest,
  { config, place, tokens }: Endpoint,
  parameters: Parameters,
  client: Client,
  userId: string,
  redirectKnown: boolean,
): Promise<Said | ProtocolError> {
  const type = parameters.text('response_type');
  const code = type === 'code' && config.enable_authorization_code;
  const implicit = type === 'token' && config.enable_implicit_grant;
  const { challenge, error } = challengeOf(parameters);
  if (error !== null) return error;
  if (challenge === null && requiresProof(config, client)) {
    const kind = client.confidential ? 'confidential' : 'public';
    return { error: 'invalid_request', error_description: `code_challenge is required for ${kind} clients` };
  }
  if (!redirectKnown) return FOREIGN_REDIRECT_URI;
  const scope = scopeOf(parameters, config);
  if (isError(scope)) return scope;
  if (!code && !implicit) {
    return { error: 'unsupported_response_type', error_description: 'Invalid response_type' };
  }
  // Kong answers 500 here; a code with it could never be redeemed.
  if (code && challenge === '')
    return { error: 'invalid_request', error_description: 'code_challenge must not be empty' };
  const service = serviceOf(request, config);
  if (code) {
    const kept = { service, credential: client.id, userId, ...scope, challenge, plugin: place.id };
    return { code: await tokens.addCode(kept) };
  }
  const grant = grantOf(config, client, { service, userId, ...scope, withRefresh: false });
  return described(await tokens.issue(request, grant), config);
}

/** The challenge of RFC 7636 section 4.3, of the one method there is; without padding, however it was sent. */
function challengeOf(parameters: Parameters): {
  readonly challenge: string | null;
  readonly error: ProtocolError | null;
} {
  const challenge = parameters.text('code_challenge');
  const method = parameters.has('code_challenge_method') ? (parameters.text('code_challenge_method') ?? '') : undefined;
  const wrong = (error_description: string) => ({
    challenge: null,
    error: { error: 'invalid_request', error_description },
  });
  if (challenge === undefined) {
    if (parameters.has('code_challenge')) return wrong('code_challenge must be a string');
    return method === undefined
      ? { challenge: null, error: null }
      : wrong('code_challenge is required when code_method is present');
  }
  if (method !== undefined && method.toUpperCase() !== 'S256') {
    return wrong('code_challenge_method is not supported, must be S256');
  }
  return { challenge: unpadded(challenge).replaceAll('+', '-').replaceAll('/', '_'), error: null };
}

/** Clients send it as long as they like: a pattern that ends with the padding would try each run of it within. */
function unpadded(base64: string): string {
  let end = base64.length;
  while (base64[end - 1] === '=') end--;
  return base64.slice(0, end);
}

/** The URI with that in its query, beside what it has there; by name, as Kong sorts them. */
function inQuery(uri: string, said: Said): string {
  const [base = '', query = ''] = splitOnce(uri, '?');
  const own: Record<string, string | number | boolean> = {};
  for (const part of query.split('&')) {
    const [escaped = ''] = splitOnce(part, '=');
    const name = queryValues(`x=${escaped}`, 'x')[0];
    if (typeof name !== 'string' || name === '') continue;
    own[name] = queryValues(query, name)[0] ?? true;
  }
  return `${base}?${encoded({ ...own, ...said })}`;
}

function splitOnce(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function encoded(values: Said): string {
  return Object.entries(values)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => (value === true ? escaped(name) : `${escaped(name)}=${escaped(String(value))}`))
    .join('&');
}

/** Everything but what RFC 3986 calls unreserved, the digits of escapes in lower case. */
function escaped(text: string): string {
  let all = '';
  for (const byte of new TextEncoder().encode(text)) {
    const character = String.fromCharCode(byte);
    all += /[A-Za-z0-9\-._~]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return all;
}
