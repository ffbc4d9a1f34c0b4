import { authority } from '../cp/pki/authority.ts';
import type { Step } from './form-filler.ts';

const CA = await authority('Test CA');
const LEAF = await CA.leaf({ name: 'shop.test' });
const JWK = JSON.stringify({
  kty: 'EC',
  crv: 'P-256',
  kid: 'k1',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
});
const SCHEMA =
  'return { name = "hello", fields = { { config = { type = "record", fields = { { word = { type = "string" } } } } } } }';
const HANDLER = 'return { PRIORITY = 10, VERSION = "1.0", access = function(self, conf) end }';

/** How a row is made and changed by hand, and what it is then. */
export interface Story {
  /** Where it is begun: a page of the menu, or the row it is made for by the button there. */
  readonly from: readonly ['menu', page: string] | readonly ['row', kind: string, name: string, button: string];
  readonly singular: string;
  readonly create: readonly Step[];
  /** Under which it is found afterwards; a pattern where its id is its name. */
  readonly name: string | RegExp;
  readonly edit: readonly Step[];
  /** Where it is in the Admin API, `:id` its id, and what it is there after both. */
  readonly stored: readonly [path: string, row: object];
}

/** Every kind of entity, parents before what is under them; what is deleted first stands last. */
export const STORIES: readonly Story[] = [
  {
    from: ['menu', 'Services'],
    singular: 'service',
    create: [
      ['type', 'Name', 'shop'],
      ['choose', 'Protocol', 'https'],
      ['type', 'Host', 'shop.upstream'],
      ['words', 'Tags', 'a', 'b c'],
    ],
    name: 'shop',
    edit: [['type', 'Port', '8443'], ['turn', 'Enabled'], ['more'], ['choose', 'TLS verify', 'false']],
    stored: ['/services/:id', { protocol: 'https', port: 8443, enabled: false, tls_verify: false, tags: ['a', 'b c'] }],
  },
  {
    from: ['row', 'services', 'shop', 'Add a route'],
    singular: 'route',
    create: [
      ['type', 'Name', 'shop-route'],
      ['words', 'Paths', '/shop', '~/a(?<b>.)$'],
      ['words', 'Methods', 'GET'],
    ],
    name: 'shop-route',
    edit: [
      ['turn', 'Strip path'],
      ['more'],
      ['press', 'Add to headers'],
      ['type', 'Headers: name 1', 'x-version'],
      ['words', 'Headers: value 1', '1', '2'],
      ['choose', 'HTTPS redirect status code', '308'],
    ],
    stored: [
      '/routes/:id',
      {
        paths: ['/shop', '~/a(?<b>.)$'],
        methods: ['GET'],
        strip_path: false,
        headers: { 'x-version': ['1', '2'] },
        https_redirect_status_code: 308,
      },
    ],
  },
  {
    from: ['menu', 'Consumers'],
    singular: 'consumer',
    create: [['type', 'Username', 'grace']],
    name: 'grace',
    edit: [['type', 'Custom ID', 'g-1']],
    stored: ['/consumers/:id', { username: 'grace', custom_id: 'g-1' }],
  },
  ...credentials(),
  {
    from: ['menu', 'Upstreams'],
    singular: 'upstream',
    create: [['type', 'Name', 'shop.upstream']],
    name: 'shop.upstream',
    edit: [
      ['choose', 'Algorithm', 'least-connections'],
      ['more'],
      ['press', '3 settings of healthchecks'],
      ['press', '9 settings of active'],
      ['type', 'HTTP path', '/ready'],
    ],
    stored: [
      '/upstreams/:id',
      { algorithm: 'least-connections', healthchecks: { active: { http_path: '/ready', timeout: 1 } } },
    ],
  },
  {
    from: ['row', 'upstreams', 'shop.upstream', 'Add a target'],
    singular: 'target',
    create: [['type', 'Target', '10.0.0.1:8080']],
    name: '10.0.0.1:8080',
    edit: [['type', 'Weight', '7']],
    stored: ['/upstreams/shop.upstream/targets/:id', { weight: 7 }],
  },
  {
    from: ['menu', 'Certificates'],
    singular: 'certificate',
    create: [
      ['type', 'Cert', LEAF.cert],
      ['type', 'Key', LEAF.key],
      ['words', 'Server names', 'shop.test'],
    ],
    name: 'shop.test',
    edit: [['words', 'Tags', 'tls']],
    stored: ['/certificates/:id', { snis: ['shop.test'], tags: ['tls'] }],
  },
  {
    from: ['menu', 'Server names'],
    singular: 'server name',
    create: [
      ['type', 'Name', '*.shop.test'],
      ['choose', 'Certificate', 'shop.test'],
    ],
    name: '*.shop.test',
    edit: [['words', 'Tags', 'wild']],
    stored: ['/snis/:id', { tags: ['wild'] }],
  },
  {
    from: ['menu', 'CA certificates'],
    singular: 'CA certificate',
    create: [['type', 'Cert', CA.pem]],
    name: /^CA certificate [0-9a-f]{8}$/,
    edit: [['words', 'Tags', 'ca']],
    stored: ['/ca_certificates/:id', { tags: ['ca'] }],
  },
  {
    from: ['menu', 'Consumer groups'],
    singular: 'consumer group',
    create: [['type', 'Name', 'gold']],
    name: 'gold',
    edit: [['words', 'Tags', 'paying']],
    stored: ['/consumer_groups/:id', { consumer_group: { tags: ['paying'] } }],
  },
  {
    from: ['menu', 'Key sets'],
    singular: 'key set',
    create: [['type', 'Name', 'signing']],
    name: 'signing',
    edit: [['words', 'Tags', 's']],
    stored: ['/key-sets/:id', { tags: ['s'] }],
  },
  {
    from: ['row', 'key-sets', 'signing', 'Add a key'],
    singular: 'key',
    create: [
      ['type', 'Name', 'first'],
      ['type', 'Key ID', 'k1'],
      ['type', 'JWK', JWK],
    ],
    name: 'first',
    edit: [['words', 'Tags', 'k']],
    stored: ['/keys/:id', { kid: 'k1', tags: ['k'] }],
  },
  {
    from: ['menu', 'Vaults'],
    singular: 'vault',
    create: [['type', 'Prefix', 'secrets']],
    name: 'secrets',
    edit: [
      ['type', 'Description', 'of the shop'],
      ['type', 'TTL', '60'],
    ],
    stored: ['/vaults/:id', { name: 'env', description: 'of the shop', config: { ttl: 60 } }],
  },
  {
    from: ['menu', 'Plugins in Lua'],
    singular: 'plugin in Lua',
    create: [
      ['type', 'Name', 'hello'],
      ['type', 'Schema', SCHEMA],
      ['type', 'Handler', HANDLER],
    ],
    name: 'hello',
    edit: [
      ['press', 'Add to modules'],
      ['type', 'Modules: name 1', 'hello.words'],
      ['type', 'Modules: value 1', 'return {}'],
    ],
    stored: ['/custom-plugins/:id', { modules: { 'hello.words': 'return {}' } }],
  },
  {
    from: ['menu', 'Data plane groups'],
    singular: 'data plane group',
    create: [
      ['type', 'Name', 'edge'],
      ['type', 'Labels', 'region = eu'],
    ],
    name: 'edge',
    edit: [
      ['choose', 'Publish', 'release'],
      ['type', 'Priority', '5'],
    ],
    stored: ['/groups/edge', { labels: 'region = eu', publish: 'release', priority: 5 }],
  },
  {
    from: ['menu', 'Workspaces'],
    singular: 'workspace',
    create: [['type', 'Name', 'team']],
    name: 'team',
    edit: [['type', 'Comment', 'of the team']],
    stored: ['/workspaces/:id', { comment: 'of the team' }],
  },
];

function credentials(): readonly Story[] {
  const of = (
    button: string,
    singular: string,
    path: string,
    create: readonly Step[],
    name: string | RegExp,
    edit: readonly Step[],
    row: object,
  ): Story => ({
    from: ['row', 'consumers', 'grace', button],
    singular,
    create,
    name,
    edit,
    stored: [`/${path}/:id`, row],
  });
  const tag: readonly Step[] = [['words', 'Tags', 't']];
  return [
    of('Add an API key', 'API key', 'key-auths', [['type', 'Key', 'sesame']], /^API key [0-9a-f]{8}$/, tag, {
      key: 'sesame',
      tags: ['t'],
    }),
    of(
      'Add a password',
      'password',
      'basic-auths',
      [
        ['type', 'Username', 'g'],
        ['type', 'Password', 'secret'],
      ],
      'g',
      [['type', 'Username', 'g2']],
      { username: 'g2' },
    ),
    of(
      'Add a JWT credential',
      'JWT credential',
      'jwts',
      [['type', 'Key', 'issuer']],
      /^JWT credential [0-9a-f]{8}$/,
      [['choose', 'Algorithm', 'HS512']],
      { key: 'issuer', algorithm: 'HS512' },
    ),
    of('Add an HMAC credential', 'HMAC credential', 'hmac-auths', [['type', 'Username', 'h']], 'h', tag, {
      username: 'h',
      tags: ['t'],
    }),
    of(
      'Add an OAuth 2 application',
      'OAuth 2 application',
      'oauth2',
      [
        ['type', 'Name', 'app'],
        ['words', 'Redirect URIs', 'https://app.test/back'],
      ],
      'app',
      tag,
      { redirect_uris: ['https://app.test/back'], tags: ['t'] },
    ),
    {
      from: ['row', 'oauth2', 'app', 'Add an OAuth 2 token'],
      singular: 'OAuth 2 token',
      create: [['type', 'Expires in', '3600']],
      name: /^OAuth 2 token [0-9a-f]{8}$/,
      edit: [['type', 'Scope', 'read']],
      stored: ['/oauth2_tokens/:id', { expires_in: 3600, scope: 'read' }],
    },
    of('Add an ACL group', 'ACL group', 'acls', [['type', 'Group', 'staff']], 'staff', tag, {
      group: 'staff',
      tags: ['t'],
    }),
  ];
}
