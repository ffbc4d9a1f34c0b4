import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { describe, expect, it } from 'vitest';
import oauth2 from '../../../edge-dp/plugins/oauth2.ts';
import { qualified } from '../../../edge-dp/plugins/runtime/plugin.ts';
import type { Service } from '../../../edge-dp/proxy/entities.ts';
import type { OAuth2Config } from '../../../shared/plugins/oauth2.ts';
import { DEFAULT_WORKSPACE } from '../../../shared/workspace.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const CONFIG: OAuth2Config = {
  scopes: ['read', 'write'],
  mandatory_scope: false,
  provision_key: 'key',
  token_expiration: 7200,
  enable_authorization_code: true,
  enable_implicit_grant: true,
  enable_client_credentials: true,
  enable_password_grant: true,
  hide_credentials: false,
  accept_http_if_already_terminated: true,
  anonymous: null,
  global_credentials: false,
  auth_header_name: 'authorization',
  refresh_token_ttl: 1_209_600,
  reuse_refresh_token: false,
  pkce: 'lax',
  realm: null,
};

const ws_id = DEFAULT_WORKSPACE.id;
const APP = {
  id: 'app-id',
  ws_id,
  consumer: { id: 'ada' },
  name: 'app',
  client_id: 'app',
  client_secret: bytesToHex(sha256(new TextEncoder().encode('a-secret'))),
  hash_secret: false,
  redirect_uris: ['https://app.test/back'],
  client_type: 'confidential',
};
const ROWS = {
  consumers: { ada: [{ id: 'ada', username: 'ada', ws_id }] },
  oauth2_credentials: { 'app-id': [APP] },
  'oauth2_credentials.client_id': { app: [APP] },
};

/** A gateway with the plugin on its services, each with a configuration of its own. */
function gateway() {
  const services = fakeServices();
  return async (
    own: Partial<OAuth2Config>,
    {
      service = 'api',
      target = '/x',
      method = 'GET',
      headers = {},
      form,
    }: {
      readonly service?: string;
      readonly target?: string;
      readonly method?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly form?: Readonly<Record<string, string>>;
    },
  ) => {
    const hooks = oauth2.compile({ ...CONFIG, ...own }, { ...EVERYWHERE, id: `plugin of ${service}` }, services);
    const request = fakeRequest({
      target,
      method: form === undefined ? method : 'POST',
      headers: {
        'x-forwarded-proto': 'https',
        ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
        ...headers,
      },
      ...(form !== undefined && { body: String(new URLSearchParams(form)) }),
      client: { trusted: true },
      rows: ROWS,
    });
    request.service = { id: service } as Service;
    const answer = await hooks.access?.(request);
    const response = answer && qualified(answer).response;
    const json = response === undefined ? {} : JSON.parse(String(response.content));
    return { request, status: response?.status ?? 200, json };
  };
}
const token = (form: Readonly<Record<string, string>>) => ({
  target: '/oauth2/token',
  form: { client_id: 'app', client_secret: 'a-secret', ...form },
});
const PASSWORD = { grant_type: 'password', provision_key: 'key', authenticated_userid: 'u1' };

describe('oauth2', () => {
  it('hides a token that is all of its header', async () => {
    const send = gateway();
    const { json } = await send({}, token(PASSWORD));
    for (const value of [json.access_token, `Bearer ${json.access_token}`]) {
      const { status, request } = await send({ hide_credentials: true }, { headers: { authorization: value } });
      expect([status, request.headers.get('authorization')]).toEqual([200, null]);
    }
    // What is no token may be for another plugin, that has its turn next.
    const basic = { authorization: 'Basic YTpi' };
    const { status, request } = await send({ hide_credentials: true }, { headers: basic });
    expect([status, request.headers.get('authorization')]).toEqual([401, 'Basic YTpi']);
  });

  it('gives no token for all services for a refresh token of another one', async () => {
    const send = gateway();
    const { json } = await send({}, { ...token(PASSWORD), service: 'a' });
    const refresh = token({ grant_type: 'refresh_token', refresh_token: json.refresh_token });
    const other = await send({ global_credentials: true }, { ...refresh, service: 'b' });
    expect([other.status, other.json.error]).toEqual([400, 'invalid_request']);
    const own = await send({ global_credentials: true }, { ...refresh, service: 'a' });
    expect(own.status).toBe(200);
  });

  it('does not take a scope of blanks for one where one is mandatory', async () => {
    const send = gateway();
    for (const scope of ['', ' ', '\t ']) {
      for (const form of [PASSWORD, { grant_type: 'client_credentials' }]) {
        const { status, json } = await send({ mandatory_scope: true }, token({ ...form, scope }));
        expect([status, json.error]).toEqual([400, 'invalid_scope']);
      }
    }
  });
});
