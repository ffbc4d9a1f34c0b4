import { afterAll, beforeAll, expect, it } from 'vitest';
import '../plugin-lua.ts';
import { startNodeHost } from '../../edge-dp/hosts/node/host.ts';
import { admin as api } from '../e2e/processes.ts';
import { exchange } from '../edge-dp/plugins/case-runner/exchange.ts';
import { type CaseGateway, startCaseGateway } from '../edge-dp/plugins/case-runner/gateway.ts';
import { type CaseUpstream, startCaseUpstream } from '../edge-dp/plugins/case-runner/upstream.ts';
import { type PublicPlugin, publicPlugin } from './public-plugins.ts';

/** Plugins that others have published for Kong, of different kinds, at commits that were looked at. */
const PLUGINS: readonly PublicPlugin[] = [
  {
    name: 'kong-response-size-limiting',
    repository: 'Optum/kong-response-size-limiting',
    commit: '3b077b184cf4ba4f9c7e70dec8c3f33b2a68cd29',
    schema: 'src/schema.lua',
    handler: 'src/handler.lua',
  },
  {
    name: 'kong-service-virtualization',
    repository: 'Optum/kong-service-virtualization',
    commit: '9fc0d9881bf132ac4f6fb38596f3bd437e785668',
    schema: 'src/schema.lua',
    handler: 'src/handler.lua',
    modules: { 'kong.plugins.kong-service-virtualization.access': 'src/access.lua' },
  },
  {
    name: 'url-rewrite',
    repository: 'stone-payments/kong-plugin-url-rewrite',
    commit: 'bb14b1a9f31e8127f7e49e18bfdfa6dc7f22aac2',
    schema: 'kong/plugins/url-rewrite/schema.lua',
    handler: 'kong/plugins/url-rewrite/handler.lua',
  },
  {
    name: 'auth-mapper',
    repository: 'KongHQ-CX/kong-plugin-auth-mapper',
    commit: '934462c2db7f6885b2a0925359320e59282adec7',
    schema: 'kong/plugins/auth-mapper/schema.lua',
    handler: 'kong/plugins/auth-mapper/handler.lua',
  },
  {
    name: 'myplugin',
    repository: 'Kong/kong-plugin',
    commit: 'f7a85cbc25137c8db5779912d42bda76d895e95b',
    schema: 'kong/plugins/myplugin/schema.lua',
    handler: 'kong/plugins/myplugin/handler.lua',
  },
];

let gateway: CaseGateway;
let upstream: CaseUpstream;

/** What each is configured with, on a route of its own, beside the paths of those that need one. */
const ROUTES: Readonly<Record<string, { readonly config: object; readonly paths?: readonly string[] }>> = {
  'kong-response-size-limiting': { config: { allowed_payload_size: 0.00001 } },
  'kong-service-virtualization': {
    config: {
      virtual_tests: JSON.stringify([
        {
          name: 'made-up',
          requestHttpMethod: 'GET',
          responseHttpStatus: 203,
          responseContentType: 'text/made-up',
          response: btoa('as if'),
        },
      ]),
    },
  },
  'url-rewrite': { config: { url: '/of/<who>', query_string: ['by=<who>'] }, paths: ['~/at/(?<who>[a-z]+)'] },
  'auth-mapper': {
    config: { auth_mappings_json: JSON.stringify({ 'ada:old': { client_id: 'lovelace', client_secret: 'new' } }) },
  },
  myplugin: { config: {} },
};

beforeAll(async () => {
  const sent = await Promise.all(PLUGINS.map(publicPlugin));
  upstream = await startCaseUpstream();
  gateway = await startCaseGateway(startNodeHost, { tls: false });
  for (const plugin of sent) await api(`${gateway.admin}/custom-plugins`, 'POST', plugin);
  await api(`${gateway.admin}/services`, 'POST', { name: 's', url: `http://${upstream.host}:${upstream.port}` });
  for (const [name, { config, paths = ['/'] }] of Object.entries(ROUTES)) {
    await api(`${gateway.admin}/services/s/routes`, 'POST', {
      name,
      hosts: [`${name}.test`],
      paths,
      strip_path: false,
    });
    await api(`${gateway.admin}/routes/${name}/plugins`, 'POST', { name, config });
  }
  await gateway.applied();
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

const get = (plugin: string, path = '/', headers: [string, string][] = []) =>
  exchange(
    {
      method: 'GET',
      path,
      headers: [['Host', `${plugin}.test`], ['Connection', 'close'], ...headers],
      body: null,
      tls: false,
    },
    gateway.ports.plain,
  );

it('one that cuts answers off', async () => {
  expect(await get('kong-response-size-limiting')).toMatchObject({
    status: 413,
    headers: { 'content-type': 'application/json' },
    text: '{"message": "Response size limit exceeded"}',
  });
});

it('one that answers itself', async () => {
  const asked = (name: string) => get('kong-service-virtualization', '/', [['X-VirtualRequest', name]]);
  expect(await asked('made-up')).toMatchObject({
    status: 203,
    headers: { 'content-type': 'text/made-up' },
    text: 'as if',
  });
  expect(await asked('nothing')).toMatchObject({
    status: 404,
    text: '{"message":"No matching virtual request found!"}',
  });
  expect(await get('kong-service-virtualization')).toMatchObject({ status: 200 });
});

it('one that sends requests elsewhere', async () => {
  expect(JSON.parse((await get('url-rewrite', '/at/ada?a=b')).text).path).toBe('/of/ada?a=b&by=ada');
});

it('one that changes who it is, with a cache', async () => {
  for (const _twice of [1, 2]) {
    const answer = await get('auth-mapper', '/', [
      ['client_id', 'ada'],
      ['client_secret', 'old'],
    ]);
    expect(JSON.parse(answer.text).headers).toMatchObject({ authorization: `Basic ${btoa('lovelace:new')}` });
  }
});

it('the one that Kong has others begin with', async () => {
  const answer = await get('myplugin');
  expect(JSON.parse(answer.text).headers).toMatchObject({ 'hello-world': 'this is on a request' });
  expect(answer.headers).toMatchObject({ 'bye-world': 'this is on the response' });
});
