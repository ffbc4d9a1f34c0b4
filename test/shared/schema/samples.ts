import { plugins } from '../../../shared/plugins/registry.ts';

/** The least each entity and plugin is accepted with. */

export const ID = '6f0c0f0e-7d8f-4b8e-9c55-1f2d3c4b5a69';

const reference = { id: ID };

export const entitySamples: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  workspaces: { name: 'team' },
  services: { host: 'example.com' },
  routes: { paths: ['/'] },
  consumers: { username: 'bob' },
  consumer_groups: { name: 'gold' },
  consumer_group_consumers: { consumer_group: reference, consumer: reference },
  plugins: { name: 'key-auth' },
  upstreams: { name: 'backend' },
  targets: { target: 'example.com:80', upstream: reference },
  snis: { name: 'example.com', certificate: reference },
  vaults: { name: 'env', prefix: 'my-env' },
  key_sets: { name: 'set' },
  keyauth_credentials: { consumer: reference },
  basicauth_credentials: { consumer: reference, username: 'bob', password: 'secret' },
  hmacauth_credentials: { consumer: reference, username: 'bob' },
  jwt_secrets: { consumer: reference },
  acls: { consumer: reference, group: 'gold' },
  oauth2_credentials: { consumer: reference, name: 'app' },
  oauth2_tokens: { credential: reference, expires_in: 60 },
  oauth2_authorization_codes: { credential: reference },
  acme_storage: {},
  sessions: { session_id: 'abc' },
};

const llm = { route_type: 'llm/v1/chat', model: { provider: 'openai' } };

const configs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  acl: { allow: ['gold'] },
  acme: { account_email: 'a@example.com' },
  'ai-prompt-decorator': { prompts: { prepend: [{ content: 'Be kind.' }] } },
  'ai-prompt-guard': { allow_patterns: ['.*'] },
  'ai-prompt-template': { templates: [{ name: 'one', template: '{}' }] },
  'ai-proxy': llm,
  'ai-request-transformer': { prompt: 'Translate.', llm },
  'ai-response-transformer': { prompt: 'Translate.', llm },
  'azure-functions': { appname: 'app', functionname: 'f' },
  'file-log': { path: '/tmp/file.log' },
  'http-log': { http_endpoint: 'http://example.com/' },
  'ip-restriction': { allow: ['10.0.0.0/8'] },
  'ldap-auth': { ldap_host: 'ldap.example.com', base_dn: 'dc=example', attribute: 'cn' },
  loggly: { key: 'k' },
  oauth2: { enable_password_grant: true },
  opentelemetry: { traces_endpoint: 'http://example.com/' },
  'post-function': { log: ['return 1'] },
  'pre-function': { access: ['return 1'] },
  'proxy-cache': { strategy: 'memory' },
  'rate-limiting': { minute: 5 },
  redirect: { location: 'https://example.com/' },
  'response-ratelimiting': { limits: { video: { minute: 5 } } },
  'standard-webhooks': { secret_v1: 's' },
  'tcp-log': { host: 'example.com', port: 1 },
  'udp-log': { host: 'example.com', port: 1 },
};

/** Plugin rows, one of each kind. */
export const pluginSamples = [...plugins.keys()].map((name) => ({ name, config: configs[name] ?? {} }));
