import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadClusterTls, loadTrustedKeys } from '../../../cp/pki/cluster-tls.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import type { DataPlane } from '../../../edge-dp/hosts/options.ts';
import { type RunningControlPlane, runControlPlane } from '../../cp/running-control-plane.ts';
import { admin } from '../../e2e/processes.ts';
import { until } from '../../until.ts';
import { nodeOptions, proxyUrl, type StartHost, startOwnBox, statusUrl } from '../hosts.ts';

const WAIT = { timeout: 20_000 };

describe('tokens, and sessions, on two data planes, one of them on Node', () => {
  const folders: string[] = [];
  let plane: RunningControlPlane;
  let nodes: DataPlane[] = [];
  let upstream: Server;
  let seen: IncomingHttpHeaders = {};
  let message = '';

  const call = (path: string, method = 'GET', body?: unknown) => admin(`${plane.admin}${path}`, method, body);
  const startNode = async (start: StartHost): Promise<DataPlane> => {
    const { cluster_cert: cert, cluster_cert_key: key, bundle_trusted_keys: keys } = plane.settings;
    const tls = loadClusterTls({ mode: 'shared', cert: cert ?? '', key: key ?? '', ca: null, end: 'client' });
    const folder = await mkdtemp(join(tmpdir(), 'holdfast tokens '));
    folders.push(folder);
    return start(
      nodeOptions(folder, null, {
        controlPlanes: [{ host: '127.0.0.1', port: plane.plane.cluster?.port ?? 0 }],
        clusterTls: { cert: tls.cert, key: tls.key, ca: tls.cert, serverName: 'kong_clustering' },
        trustedKeys: loadTrustedKeys(keys ?? '', 'bundle_trusted_keys'),
        proxy: { trustedIps: ['127.0.0.1'] },
      }),
    );
  };
  const send = async (node: number, path: string, init: RequestInit = {}) => {
    const headers = { host: 'api.test', 'x-forwarded-proto': 'https', ...init.headers };
    const response = await fetch(proxyUrl(nodes[node] ?? expect.fail('not started'), path), { ...init, headers });
    const text = await response.text();
    const json: Record<string, unknown> = text.startsWith('{') ? JSON.parse(text) : {};
    return { status: response.status, json, text };
  };
  const token = (node: number, form: Record<string, string>) =>
    send(node, '/api/oauth2/token', {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'app', client_secret: 'a-secret', ...form }),
    });
  const password = (node: number, user = 'u1') =>
    token(node, { grant_type: 'password', provision_key: 'key', authenticated_userid: user, scope: 'read' });
  const authorize = (form: readonly (readonly [string, string])[], headers = {}) => {
    const body = new URLSearchParams([
      ['client_id', 'app'],
      ['response_type', 'code'],
      ['provision_key', 'key'],
      ['authenticated_userid', 'u2'],
      ['scope', 'read'],
    ]);
    for (const [name, value] of form) body.append(name, value);
    return send(0, '/api/oauth2/authorize', { method: 'POST', body, headers });
  };
  const use = async (node: number, access: unknown) =>
    (await send(node, '/api/x', { headers: { authorization: `Bearer ${access}` } })).status;

  beforeAll(async () => {
    upstream = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) body += chunk;
      seen = request.headers;
      message = `${request.url} ${JSON.stringify(request.headers)} ${body}`;
      response.end('seen');
    });
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const address = upstream.address();
    plane = await runControlPlane();
    const port = typeof address === 'object' ? address?.port : 0;
    await call('/services', 'POST', { name: 'api', url: `http://127.0.0.1:${port}` });
    await call('/services/api/routes', 'POST', { name: 'api', paths: ['/api'] });
    await call('/services/api/plugins', 'POST', {
      name: 'oauth2',
      config: {
        provision_key: 'key',
        scopes: ['read'],
        enable_password_grant: true,
        enable_authorization_code: true,
        accept_http_if_already_terminated: true,
        hide_credentials: true,
      },
    });
    await call('/consumers', 'POST', { username: 'ada' });
    await call('/consumers/ada/oauth2', 'POST', {
      name: 'app',
      client_id: 'app',
      client_secret: 'a-secret',
      redirect_uris: ['https://app.test/back'],
    });
    await call('/consumers/ada/oauth2', 'POST', { name: 'nowhere', client_id: 'nowhere', redirect_uris: [] });
    await call('/services/api/routes', 'POST', { name: 'app', paths: ['/app'] });
    await call('/consumers', 'POST', { username: 'nobody' });
    await call('/consumers/ada/key-auth', 'POST', { key: 'a-key' });
    await call('/services/api/routes', 'POST', { name: 'keys', paths: ['/keys'] });
    await call('/routes/keys/plugins', 'POST', { name: 'key-auth' });
    const session = { storage: 'kong', logout_methods: ['POST'] };
    await call('/routes/app/plugins', 'POST', { name: 'session', config: session });
    await call('/routes/app/plugins', 'POST', { name: 'key-auth', config: { anonymous: 'nobody' } });
    // On the other route alone.
    const { data } = await call('/services/api/plugins');
    const [oauth2] = Array.isArray(data) ? data : [];
    const route = await call('/routes/api');
    await call(`/plugins/${oauth2.id}`, 'PATCH', { route: { id: route.id } });
    nodes = await Promise.all([startNode(startOwnBox), startNode(startNodeHost)]);
    for (const node of [0, 1]) {
      const ready = async () => (await send(node, '/api/oauth2/token')).status === 405;
      await until(ready, 'a data plane to have the config');
    }
  });
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.stop(0)));
    await plane?.stop();
    await new Promise((resolve) => upstream?.close(resolve));
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
  });

  /** Tokens and keys of one name each, and between which Unix seconds they end. */
  const ending: { readonly name: string; readonly ends: readonly [number, number] }[] = [];
  const makeEnding = async (): Promise<void> => {
    const [credential, service] = [await call('/consumers/ada/oauth2/app'), await call('/services/api')];
    for (const seconds of [5, 15, 45]) {
      const name = `for-${seconds}`;
      const from = Math.floor(Date.now() / 1000);
      const owned = { credential: { id: credential.id }, service: { id: service.id } };
      await call('/oauth2_tokens', 'POST', { ...owned, access_token: name, expires_in: seconds });
      await call('/consumers/ada/key-auth', 'POST', { key: name, ttl: seconds });
      ending.push({ name, ends: [from + seconds, Date.now() / 1000 + seconds + 1] });
    }
    for (const node of [0, 1]) {
      const [{ name } = expect.fail('none was made')] = ending.slice(-1);
      await expect.poll(() => use(node, name), WAIT).toBe(200);
      await expect.poll(async () => (await send(node, `/keys?apikey=${name}`)).status, WAIT).toBe(200);
    }
  };

  it('are good on the other one at once, with who and what they stand for, and stay hidden from the upstream', async () => {
    const { status, json } = await password(0);
    expect(status, JSON.stringify(json)).toBe(200);
    expect(await use(1, json.access_token)).toBe(200);
    expect(seen).toMatchObject({
      'x-consumer-username': 'ada',
      'x-credential-identifier': 'app',
      'x-authenticated-userid': 'u1',
      'x-authenticated-scope': 'read',
    });
    expect(seen).not.toHaveProperty('authorization');
    for (const [place, body] of [
      ['query', null],
      ['form', new URLSearchParams({ access_token: String(json.access_token), other: '1' })],
      ['json', JSON.stringify({ access_token: json.access_token, other: 1 })],
    ] as const) {
      const init =
        body === null
          ? {}
          : { method: 'POST', body, ...(place === 'json' && { headers: { 'content-type': 'application/json' } }) };
      const path = body === null ? `/api/x?access_token=${json.access_token}&other=1` : '/api/x';
      expect((await send(1, path, init)).status, place).toBe(200);
      expect(message, place).toContain('other');
      expect(message, place).not.toContain(String(json.access_token));
    }
  });

  it('are refreshed, and codes exchanged, once, whichever of them is asked and at the same time', async () => {
    const { json } = await password(0);
    const refreshes = await Promise.all(
      [0, 1, 0, 1].map((node) =>
        token(node, { grant_type: 'refresh_token', refresh_token: String(json.refresh_token) }),
      ),
    );
    expect(refreshes.map(({ status }) => status).toSorted()).toEqual([200, 400, 400, 400]);
    const fresh = refreshes.find(({ status }) => status === 200);
    for (const node of [0, 1]) {
      expect(await use(node, fresh?.json.access_token)).toBe(200);
      await expect.poll(() => use(node, json.access_token), WAIT).toBe(401);
    }
    const { json: authorized } = await authorize([]);
    const code = new URL(String(authorized.redirect_uri)).searchParams.get('code') ?? '';
    const exchanges = await Promise.all(
      [1, 0, 1].map((node) => token(node, { grant_type: 'authorization_code', code })),
    );
    expect(exchanges.map(({ status }) => status).toSorted()).toEqual([200, 400, 400]);
  });

  it('are seen, made and ended at the Admin API', async () => {
    const { json } = await password(1, 'seen');
    const row = await call(`/oauth2_tokens/${json.access_token}`);
    expect(row).toMatchObject({ authenticated_userid: 'seen', refresh_token: json.refresh_token, scope: 'read' });
    await call(`/oauth2_tokens/${json.access_token}`, 'DELETE').catch(() => undefined);
    for (const node of [0, 1]) await expect.poll(() => use(node, json.access_token), WAIT).toBe(401);

    const credential = await call('/consumers/ada/oauth2/app');
    const service = await call('/services/api');
    const made = {
      credential: { id: credential.id },
      service: { id: service.id },
      expires_in: 60,
      access_token: 'made',
    };
    await call('/oauth2_tokens', 'POST', made);
    for (const node of [0, 1]) await expect.poll(() => use(node, 'made'), WAIT).toBe(200);
  });

  it('of sessions are good on both, and end on both, by a logout or at the Admin API', async () => {
    const visit = async (node: number, headers: Record<string, string>, init: RequestInit = {}, query = '') => {
      const response = await fetch(proxyUrl(nodes[node] ?? expect.fail(), `/app${query}`), { ...init, headers });
      await response.text();
      return { cookie: response.headers.getSetCookie()[0]?.split(';')[0] ?? '', user: seen['x-consumer-username'] };
    };
    const { cookie } = await visit(0, { apikey: 'a-key' });
    await expect.poll(() => visit(1, { cookie }), WAIT).toEqual({ cookie: '', user: 'ada' });
    await expect.poll(async () => (await call('/sessions')).data, WAIT).toHaveLength(1);
    await visit(1, { cookie }, { method: 'POST' }, '?session_logout');
    for (const node of [0, 1]) await expect.poll(() => visit(node, { cookie }), WAIT).toMatchObject({ user: 'nobody' });
    await expect.poll(async () => (await call('/sessions')).data, WAIT).toEqual([]);

    const again = await visit(0, { apikey: 'a-key' });
    let rows: unknown;
    const shared = async () => {
      ({ data: rows } = await call('/sessions'));
      return rows;
    };
    await expect.poll(shared, WAIT).toHaveLength(1);
    for (const row of Array.isArray(rows) ? rows : []) await call(`/sessions/${row.id}`, 'DELETE');
    for (const node of [0, 1]) {
      await expect.poll(() => visit(node, { cookie: again.cookie }), WAIT).toMatchObject({ user: 'nobody' });
    }
  });

  it('of a user whose name would end the header are not issued', async () => {
    for (const user of ['a\r\nX-Admin: 1', 'a\u0000']) {
      const { status, json } = await password(0, user);
      expect([status, json.error]).toEqual([400, 'invalid_authenticated_userid']);
    }
    // In letters of any alphabet they are.
    const { json } = await password(0, 'Ада');
    await expect.poll(() => use(1, json.access_token), WAIT).toBe(200);
  });

  it('are refused in the words of the protocol where a request says a thing twice, or comes from elsewhere', async () => {
    const refused = (answer: { status: number; json: Record<string, unknown> }, error: string, description: string) =>
      expect([answer.status, answer.json]).toEqual([400, { error, error_description: description }]);
    const challenged = await authorize([
      ['code_challenge', 'xSow9UkD6ei4_nnvkfGgVatE_ByFQf-tcaCmUG9MGOM'],
      ['code_challenge', 'xSow9UkD6ei4_nnvkfGgVatE_ByFQf-tcaCmUG9MGOM'],
    ]);
    const back = new URL(String(challenged.json.redirect_uri));
    expect([challenged.status, Object.fromEntries(back.searchParams)]).toEqual([
      400,
      { error: 'invalid_request', error_description: 'code_challenge must be a string' },
    ]);
    // As long as a client likes: it is the page of the login that passes it on.
    const padded = await authorize([
      ['code_challenge', `${'='.repeat(300_000)}x`],
      ['code_challenge_method', 'S256'],
      ['redirect_uri', 'https://evil.test/'],
    ]);
    expect(padded.status).toBe(400);
    const foreign = 'Invalid redirect_uri that does not match with any redirect_uri created with the application';
    const elsewhere = await token(0, { grant_type: 'password', redirect_uri: 'https://evil.test/' });
    refused(elsewhere, 'invalid_request', foreign);
    // Nobody to be told by way of a redirect.
    const body = new URLSearchParams({ client_id: 'nowhere', provision_key: 'key', authenticated_userid: 'u2' });
    refused(await send(0, '/api/oauth2/authorize', { method: 'POST', body }), 'invalid_request', foreign);
    refused(await token(0, { grant_type: 'magic' }), 'unsupported_grant_type', 'Invalid grant_type');
    const twice = 'Only one X-Forwarded-Proto header allowed';
    refused(await authorize([], { 'x-forwarded-proto': 'https, https' }), 'access_denied', twice);
    refused(await authorize([], { 'x-forwarded-proto': 'http' }), 'access_denied', 'You must use HTTPS');
  });

  it('tell whose a request is where a release is tried on a part of the consumers', async () => {
    const { json } = await password(0);
    const own = await fetch(proxyUrl(nodes[0] ?? expect.fail(), '/app'), { headers: { apikey: 'a-key' } });
    const cookie = own.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    await own.text();
    await call('/groups/default', 'PUT', { publish: 'release' });
    await call('/plugins', 'POST', { name: 'response-transformer', config: { add: { headers: ['x-met:release'] } } });
    const all = { percent: 100, by: 'consumer' };
    const strategy = [{ traffic: all, hold: 3600, gates: { max_5xx_increase: null, max_p99_ratio: null } }];
    const made = await call('/releases', 'POST', { group: 'default', strategy });
    const met = async (node: number, path: string, headers: Record<string, string> = {}) => {
      const trusted = { host: 'api.test', 'x-forwarded-proto': 'https', ...headers };
      const response = await fetch(proxyUrl(nodes[node] ?? expect.fail(), path), { headers: trusted });
      await response.text();
      return `${response.status} ${response.headers.get('x-met') ?? 'before'}`;
    };
    const bearer = { authorization: `Bearer ${json.access_token}` };
    for (const node of [0, 1]) {
      await expect.poll(() => met(node, '/api/x', bearer), WAIT).toBe('200 release');
      expect(await met(node, `/api/x?access_token=${json.access_token}`)).toBe('200 release');
      await expect.poll(() => met(node, '/app', { cookie }), WAIT).toBe('200 release');
      // Nobody's: by the config before.
      expect(await met(node, '/api/x', { authorization: 'Bearer nobodys' })).toBe('401 before');
      expect(await met(node, '/api/x')).toBe('401 before');
      expect(await met(node, '/app')).toBe('200 before');
      expect(await met(node, '/app', { cookie: `${cookie}x` })).toBe('200 before');
    }
    await call(`/releases/${made.id}/abort`, 'POST');
    for (const node of [0, 1]) await expect.poll(() => met(node, '/api/x', bearer), WAIT).toBe('200 before');
    await call('/groups/default', 'DELETE');
    await expect.poll(() => met(1, '/api/x', bearer), WAIT).toBe('200 release');
  });

  it('go on without a control plane: those known everywhere everywhere, new ones where they were issued', async () => {
    const { json: before } = await password(0);
    await makeEnding();
    const { json: marker } = await password(0);
    await expect.poll(() => use(1, marker.access_token), WAIT).toBe(200);
    expect(await use(1, before.access_token)).toBe(200);
    await plane.plane.stop();
    for (const node of [0, 1]) {
      const linked = async () =>
        (await (await fetch(statusUrl(nodes[node] ?? expect.fail(), '/metrics'))).text()).includes('connected 1');
      await expect.poll(linked, WAIT).toBe(false);
    }
    const { status, json: alone } = await password(1);
    expect(status).toBe(200);
    expect([await use(0, before.access_token), await use(1, before.access_token)]).toEqual([200, 200]);
    expect([await use(0, alone.access_token), await use(1, alone.access_token)]).toEqual([401, 200]);
  });

  it('end at the second they are to, on both and keys too, while there is no control plane', async () => {
    const now = Date.now() / 1000;
    const { name, ends } = ending.find((each) => each.ends[0] > now + 1) ?? expect.fail('all of them are over');
    const asking = [0, 1].flatMap((node) => [
      () => use(node, name),
      async () => (await send(node, `/keys?apikey=${name}`)).status,
    ]);
    await Promise.all(
      asking.map(async (ask, which) => {
        for (let good = 0; ; good++) {
          const asked = Date.now() / 1000;
          const status = await ask();
          if (status !== 200) {
            const answered = Date.now() / 1000;
            expect([which, status, good > 0, answered >= ends[0]]).toEqual([which, 401, true, true]);
            return;
          }
          expect(asked, `${which} was asked for too late`).toBeLessThan(ends[1]);
          await pause(20);
        }
      }),
    );
  });
});
