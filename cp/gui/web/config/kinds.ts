import type { Row } from '../../../../shared/record.ts';
import type { IconName } from '../parts/icon-paths.ts';

/** A kind of entity as the Manager shows it. */
export interface Kind {
  /** As in `GET /schemas/{name}`. */
  readonly name: string;
  /** In addresses of the Manager, and, unless `path` says otherwise, of the Admin API. */
  readonly slug: string;
  /** Where its rows are when they are under another one: the field that refers to it, and its kind. */
  readonly under?: { readonly field: string; readonly slug: string; readonly path: string };
  readonly plural: string;
  readonly singular: string;
  readonly icon: IconName;
  /** What it is for, in a sentence. */
  readonly purpose: string;
  /** Fields that most people want, in the order they are asked for; all others are under *More settings*. */
  readonly first: readonly string[];
  /** Fields that are columns of lists, after the name; `scope` is all that a plugin is for. */
  readonly columns: readonly string[];
  /** Kinds whose rows belong to one of this kind, by the field that says so. */
  readonly parts: readonly { readonly slug: string; readonly field: string; readonly path: string }[];
  /** Rows belong to all workspaces. */
  readonly cluster?: boolean;
}

const CREDENTIAL_PARTS = [
  ['key-auths', 'key-auth'],
  ['basic-auths', 'basic-auth'],
  ['jwts', 'jwt'],
  ['hmac-auths', 'hmac-auth'],
  ['oauth2', 'oauth2'],
  ['acls', 'acls'],
] as const;

/** Every kind, in the order of the menu. */
export const KINDS: readonly Kind[] = [
  {
    name: 'services',
    slug: 'services',
    plural: 'Services',
    singular: 'service',
    icon: 'services',
    purpose: 'A service is an API behind the gateway: where requests are passed on to.',
    first: ['name', 'protocol', 'host', 'port', 'path', 'enabled', 'tags'],
    columns: ['host', 'port', 'protocol', 'enabled', 'tags'],
    parts: [
      { slug: 'routes', field: 'service', path: 'routes' },
      { slug: 'plugins', field: 'service', path: 'plugins' },
    ],
  },
  {
    name: 'routes',
    slug: 'routes',
    plural: 'Routes',
    singular: 'route',
    icon: 'routes',
    purpose: 'A route says which requests go to a service: by path, host, method or header.',
    first: ['name', 'service', 'paths', 'hosts', 'methods', 'strip_path', 'expression', 'priority', 'tags'],
    columns: ['paths', 'hosts', 'methods', 'service', 'tags'],
    parts: [{ slug: 'plugins', field: 'route', path: 'plugins' }],
  },
  {
    name: 'plugins',
    slug: 'plugins',
    plural: 'Plugins',
    singular: 'plugin',
    icon: 'plugins',
    purpose: 'A plugin does something with requests and answers: of everybody, or of one service, route or consumer.',
    first: ['config', 'enabled', 'service', 'route', 'consumer', 'consumer_group', 'instance_name', 'tags'],
    columns: ['scope', 'instance_name', 'enabled', 'tags'],
    parts: [],
  },
  {
    name: 'consumers',
    slug: 'consumers',
    plural: 'Consumers',
    singular: 'consumer',
    icon: 'consumers',
    purpose: 'A consumer is who calls: a person or a program, known by a key or another credential.',
    first: ['username', 'custom_id', 'tags'],
    columns: ['custom_id', 'tags'],
    parts: [
      ...CREDENTIAL_PARTS.map(([slug, path]) => ({ slug, field: 'consumer', path })),
      { slug: 'plugins', field: 'consumer', path: 'plugins' },
    ],
  },
  {
    name: 'upstreams',
    slug: 'upstreams',
    plural: 'Upstreams',
    singular: 'upstream',
    icon: 'upstreams',
    purpose:
      'An upstream spreads requests over several targets and watches their health. A service uses it by naming it as its host.',
    first: ['name', 'algorithm', 'tags'],
    columns: ['algorithm', 'tags'],
    parts: [{ slug: 'targets', field: 'upstream', path: 'targets' }],
  },
  {
    name: 'targets',
    slug: 'targets',
    under: { field: 'upstream', slug: 'upstreams', path: 'targets' },
    plural: 'Targets',
    singular: 'target',
    icon: 'nodes',
    purpose: 'A target is one address of an upstream, with a weight.',
    first: ['target', 'weight', 'tags'],
    columns: ['weight', 'tags'],
    parts: [],
  },
  {
    name: 'certificates',
    slug: 'certificates',
    plural: 'Certificates',
    singular: 'certificate',
    icon: 'certificates',
    purpose: 'A certificate with its key, shown to clients that ask for one of its names, or to upstreams.',
    first: ['cert', 'key', 'snis', 'tags'],
    columns: ['snis', 'tags'],
    parts: [{ slug: 'snis', field: 'certificate', path: 'snis' }],
  },
  {
    name: 'snis',
    slug: 'snis',
    plural: 'Server names',
    singular: 'server name',
    icon: 'tag',
    purpose: 'A server name (SNI) says for which host a certificate is shown.',
    first: ['name', 'certificate', 'tags'],
    columns: ['certificate', 'tags'],
    parts: [],
  },
  {
    name: 'ca_certificates',
    slug: 'ca_certificates',
    plural: 'CA certificates',
    singular: 'CA certificate',
    icon: 'certificates',
    purpose: 'A CA certificate is what certificates of upstreams or clients are checked by.',
    first: ['cert', 'tags'],
    columns: ['tags'],
    parts: [],
  },
  {
    name: 'consumer_groups',
    slug: 'consumer_groups',
    plural: 'Consumer groups',
    singular: 'consumer group',
    icon: 'consumers',
    purpose: 'A consumer group has plugins that hold for all consumers in it.',
    first: ['name', 'tags'],
    columns: ['tags'],
    parts: [{ slug: 'plugins', field: 'consumer_group', path: 'plugins' }],
  },
  ...credentials(),
  {
    name: 'oauth2_tokens',
    slug: 'oauth2_tokens',
    plural: 'OAuth 2 tokens',
    singular: 'OAuth 2 token',
    icon: 'keys',
    purpose: 'A token that an application has, whether it was given by a data plane or here.',
    first: ['credential', 'expires_in', 'access_token', 'refresh_token', 'scope', 'authenticated_userid', 'service'],
    columns: ['credential', 'scope', 'authenticated_userid'],
    parts: [],
  },
  {
    name: 'custom_plugins',
    slug: 'custom-plugins',
    plural: 'Plugins in Lua',
    singular: 'plugin in Lua',
    icon: 'plugins',
    purpose:
      'A plugin of your own, written in Lua for Kong: it is sent here and travels to data planes with the config.',
    first: ['name', 'schema', 'handler', 'modules', 'tags'],
    columns: ['tags'],
    parts: [],
    cluster: true,
  },
  {
    name: 'key_sets',
    slug: 'key-sets',
    plural: 'Key sets',
    singular: 'key set',
    icon: 'keys',
    purpose: 'A key set holds public keys that plugins check tokens by.',
    first: ['name', 'tags'],
    columns: ['tags'],
    parts: [{ slug: 'keys', field: 'set', path: 'keys' }],
  },
  {
    name: 'keys',
    slug: 'keys',
    plural: 'Keys',
    singular: 'key',
    icon: 'keys',
    purpose: 'A key, as a JWK or as PEM, in a set or on its own.',
    first: ['name', 'kid', 'set', 'jwk', 'pem', 'tags'],
    columns: ['kid', 'set', 'tags'],
    parts: [],
  },
  {
    name: 'vaults',
    slug: 'vaults',
    plural: 'Vaults',
    singular: 'vault',
    icon: 'lock',
    purpose: 'A vault is where {vault://…} references in other fields find their secrets.',
    first: ['prefix', 'name', 'config', 'description', 'tags'],
    columns: ['description', 'tags'],
    parts: [],
  },
  {
    name: 'groups',
    slug: 'groups',
    plural: 'Data plane groups',
    singular: 'data plane group',
    icon: 'nodes',
    purpose: 'A group of data planes, chosen by labels, gets a config of its own.',
    first: ['name', 'labels', 'select_tags', 'publish', 'priority', 'certified', 'tags'],
    columns: ['labels', 'select_tags', 'publish'],
    parts: [],
    cluster: true,
  },
  {
    name: 'workspaces',
    slug: 'workspaces',
    plural: 'Workspaces',
    singular: 'workspace',
    icon: 'more',
    purpose: 'A workspace has entities of its own, with names of their own.',
    first: ['name', 'comment'],
    columns: ['comment'],
    parts: [],
    cluster: true,
  },
];

function credentials(): readonly Kind[] {
  const kinds: readonly (readonly [
    name: string,
    slug: string,
    plural: string,
    singular: string,
    first: readonly string[],
    columns: readonly string[],
  ])[] = [
    ['keyauth_credentials', 'key-auths', 'API keys', 'API key', ['key', 'tags'], ['consumer', 'tags']],
    [
      'basicauth_credentials',
      'basic-auths',
      'Passwords',
      'password',
      ['username', 'password', 'tags'],
      ['consumer', 'tags'],
    ],
    [
      'jwt_secrets',
      'jwts',
      'JWT credentials',
      'JWT credential',
      ['key', 'algorithm', 'secret', 'rsa_public_key', 'tags'],
      ['consumer', 'algorithm', 'tags'],
    ],
    [
      'hmacauth_credentials',
      'hmac-auths',
      'HMAC credentials',
      'HMAC credential',
      ['username', 'secret', 'tags'],
      ['consumer', 'tags'],
    ],
    [
      'oauth2_credentials',
      'oauth2',
      'OAuth 2 applications',
      'OAuth 2 application',
      ['name', 'client_id', 'client_secret', 'redirect_uris', 'tags'],
      ['consumer', 'tags'],
    ],
    ['acls', 'acls', 'ACL groups', 'ACL group', ['group', 'tags'], ['consumer', 'tags']],
  ];
  return kinds.map(([name, slug, plural, singular, first, columns]) => ({
    name,
    slug,
    plural,
    singular,
    icon: 'keys',
    purpose:
      slug === 'acls'
        ? 'An ACL group that a consumer is in: the acl plugin lets it in, or not, by that.'
        : `${plural} of consumers: what they show to be known.`,
    first: ['consumer', ...first],
    columns,
    parts: slug === 'oauth2' ? [{ slug: 'oauth2_tokens', field: 'credential', path: 'oauth2_tokens' }] : [],
  }));
}

const BY_SLUG = new Map(KINDS.map((kind) => [kind.slug, kind]));
const BY_NAME = new Map(KINDS.map((kind) => [kind.name, kind]));

export const kindBySlug = (slug: string): Kind | undefined => BY_SLUG.get(slug);
/** By the name of its schema, as references have it. */
export const kindByName = (name: string): Kind | undefined => BY_NAME.get(name);

/** What one row of an entity is called, whether it has pages of its own or not. */
export function singularOf(entity: string): string {
  if (entity === 'consumer_group_consumers') return 'member of a consumer group';
  return kindByName(entity)?.singular ?? entity.replaceAll('_', ' ');
}

/** What people know a row by; its id where it has no name. The name of a vault is that of its kind. */
export function titleOf(row: Readonly<Row>): string {
  for (const field of ['prefix', 'name', 'username', 'custom_id', 'target', 'group', 'kid', 'client_id']) {
    const value = row[field];
    if (typeof value === 'string' && value !== '') return value;
  }
  const { snis } = row;
  if (Array.isArray(snis) && typeof snis[0] === 'string') return snis[0];
  return typeof row.id === 'string' ? row.id : '';
}

/** What a page or a line about a row calls it: one without a name by its kind, and enough of its id to tell it apart. */
export function callOf(kind: Kind, row: Readonly<Row>): string {
  const title = titleOf(row);
  return title !== '' && title === row.id ? `${kind.singular} ${title.slice(0, 8)}` : title;
}

/** A row by its kind and name, in a sentence of what was done with it. */
export function told(kind: Kind, row: Readonly<Row>): string {
  const called = callOf(kind, row);
  return called.startsWith(`${kind.singular} `) ? called : `${kind.singular} ${called}`;
}

/** The kind that a field of this name refers to. */
export function kindByField(field: string): Kind | undefined {
  if (field === 'credential') return kindByName('oauth2_credentials');
  if (field === 'client_certificate') return kindByName('certificates');
  return kindByName(field === 'set' ? 'key_sets' : `${field}s`);
}

/** The id of what a field refers to. */
export function referredId(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('id' in value)) return null;
  return typeof value.id === 'string' ? value.id : null;
}

/** Where a row that was read is in the Admin API, by its id: a name may have characters that say something in a path. */
export const rowPath = (kind: Kind, row: Readonly<Row>): string =>
  `${collectionPath(kind, row)}/${encodeURIComponent(String(row.id))}`;

/** Where rows of a kind are in the Admin API; null while it is not known under which row. */
export function collectionPath(kind: Kind, row: Readonly<Row>): string | null {
  if (kind.under === undefined) return `/${kind.slug}`;
  const parent = referredId(row[kind.under.field]);
  return parent === null ? null : `/${kind.under.slug}/${encodeURIComponent(parent)}/${kind.under.path}`;
}
