import type { Row } from '../../../shared/record.ts';
import type { CaseRequest } from './case-runner/case.ts';
import type { CaseAnswer } from './case-runner/exchange.ts';

/** A plugin as the test of places configures it: differently at each place, so that an answer shows which one it was. */
export interface PlacedPlugin {
  readonly name: string;
  /** Its configuration at a place, with `mark-<n>` where an answer, or what an upstream got, shows it. */
  config(mark: number, servers: Servers): Row;
  /** A configuration that is refused at the write, and what is said of it, by field. */
  readonly refused: readonly [config: Row, fields: Row];
  /** What is sent to see the mark. Without it an ordinary GET. */
  readonly request?: Partial<CaseRequest>;
  /** How an answer shows the mark, where it is not the word itself. */
  readonly shown?: RegExp;
  /** Where no answer shows it: a request that is answered in one of two ways, according to the mark that is in force. */
  readonly tried?: (mark: number) => Tried;
  /** Its turn comes before it is known who asks. */
  readonly early?: true;
  /** It finds out who asks: no key-auth runs before it. */
  readonly identity?: Identity;
  readonly protocol?: 'grpc';
}

interface Tried {
  readonly request: Partial<CaseRequest>;
  /** True only where this mark is in force. */
  is(answer: CaseAnswer): boolean;
}

/** How somebody is known by the plugin: what the Admin API is told of them, and what they send. */
interface Identity {
  readonly credential: (user: string) => readonly [path: string, body: Row] | null;
  readonly request: (user: string) => Partial<CaseRequest>;
  /** The request before, whose answer `request` refers to. */
  readonly first?: (user: string) => CaseRequest;
  /** Nobody of a directory is a consumer: the header that says who it was. */
  readonly header?: string;
}

/** What configurations refer to. */
export interface Servers {
  /** One that echoes requests; port 80 is its, too. */
  readonly upstream: { readonly host: string; readonly port: number };
  readonly directory: { readonly port: number };
  /** The path of a file that has the HTTP method `/mark-<n>` of a gRPC service. */
  proto(mark: number): string;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

export const PLACED_PLUGINS: readonly PlacedPlugin[] = [
  {
    name: 'acl',
    config: (mark) => ({ allow: [`group-${mark}`] }),
    refused: [
      { allow: ['a'], deny: ['b'] },
      { '@entity': ["exactly one of these fields must be non-empty: 'config.allow', 'config.deny'"] },
    ],
    tried: (mark) => ({ request: { headers: { apikey: `member-${mark}` } }, is: ({ status }) => status === 200 }),
  },
  {
    name: 'aws-lambda',
    config: (mark, { upstream }) => ({
      aws_key: 'key',
      aws_secret: 'secret',
      aws_region: 'us-east-1',
      function_name: `mark-${mark}`,
      host: upstream.host,
      port: upstream.port,
      disable_https: true,
    }),
    refused: [
      { aws_key: 'key', function_name: 'f' },
      { '@entity': ["all or none of these fields must be set: 'config.aws_key', 'config.aws_secret'"] },
    ],
  },
  {
    name: 'azure-functions',
    config: (mark, { upstream }) => {
      const [appname = '', ...rest] = upstream.host.split('.');
      return { appname, hostdomain: rest.join('.'), https: false, functionname: `mark-${mark}` };
    },
    refused: [{ appname: 'app' }, { config: { functionname: 'required field missing' } }],
  },
  {
    name: 'basic-auth',
    config: (mark) => ({ realm: `mark-${mark}` }),
    refused: [{ hide_credentials: 'maybe' }, { config: { hide_credentials: 'expected a boolean' } }],
    identity: {
      credential: (user) => ['basic-auth', { username: user, password: 'a word' }],
      request: (user) => ({ headers: { authorization: `Basic ${base64(`${user}:a word`)}` } }),
    },
  },
  {
    name: 'bot-detection',
    config: (mark) => ({ deny: [`robot-${mark}$`] }),
    refused: [{ deny: ['['] }, { config: { deny: ['not a valid regex: ['] } }],
    tried: (mark) => ({ request: { headers: { 'user-agent': `robot-${mark}` } }, is: ({ status }) => status === 403 }),
  },
  {
    name: 'correlation-id',
    config: (mark) => ({ header_name: `x-mark-${mark}`, echo_downstream: true }),
    refused: [{ generator: 'dice' }, { config: { generator: 'expected one of: uuid, uuid#counter, tracker' } }],
    early: true,
  },
  {
    name: 'cors',
    config: (mark) => ({ exposed_headers: [`mark-${mark}`] }),
    refused: [{ origins: ['https://a.test', '['] }, { config: { origins: [null, "'[' is not a valid regex"] } }],
    request: { headers: { origin: 'https://a.test' } },
  },
  {
    name: 'grpc-gateway',
    config: (mark, { proto }) => ({ proto: proto(mark) }),
    refused: [{ proto: 1 }, { config: { proto: 'expected a string' } }],
    tried: (mark) => ({ request: { path: `/mark-${mark}` }, is: ({ status }) => status === 200 }),
    protocol: 'grpc',
  },
  {
    name: 'grpc-web',
    config: (mark) => ({ allow_origin_header: `mark-${mark}` }),
    refused: [
      { allow_origin_header: 'a\r\nb' },
      { config: { allow_origin_header: 'a header cannot hold the control character U+000D (at position 2)' } },
    ],
    request: { method: 'OPTIONS' },
  },
  {
    name: 'hmac-auth',
    config: (mark) => ({ realm: `mark-${mark}` }),
    refused: [{ clock_skew: 0 }, { config: { clock_skew: 'value must be greater than 0' } }],
    identity: {
      credential: (user) => ['hmac-auth', { username: user, secret: 'a secret' }],
      request: (user) => ({
        headers: {
          date: { $http_date: 0 },
          authorization: { $hmac: { username: user, secret: 'a secret', algorithm: 'hmac-sha256', headers: ['date'] } },
        },
      }),
    },
  },
  {
    name: 'ip-restriction',
    config: (mark) => ({ deny: ['127.0.0.1/32'], message: `mark-${mark}` }),
    refused: [{ deny: ['127.0.0.1/33'] }, { config: { deny: ["invalid ip or cidr range: '127.0.0.1/33'"] } }],
  },
  {
    name: 'jwt',
    config: (mark) => ({ realm: `mark-${mark}` }),
    refused: [
      { maximum_expiration: 31_536_001 },
      { config: { maximum_expiration: 'value should be between 0 and 31536000' } },
    ],
    identity: {
      credential: (user) => ['jwt', { key: user, secret: 'a secret' }],
      request: (user) => ({
        headers: {
          authorization: {
            $jwt: {
              header: { alg: 'HS256', typ: 'JWT' },
              claims: { iss: user },
              secret: 'a secret',
              prefix: 'Bearer ',
            },
          },
        },
      }),
    },
  },
  {
    name: 'key-auth',
    config: (mark) => ({ realm: `mark-${mark}` }),
    refused: [
      { key_names: ['a b'] },
      { config: { key_names: ["bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'"] } },
    ],
    identity: {
      credential: (user) => ['key-auth', { key: `key of ${user}` }],
      request: (user) => ({ headers: { apikey: `key of ${user}` } }),
    },
  },
  {
    name: 'ldap-auth',
    config: (mark, { directory }) => ({
      realm: `mark-${mark}`,
      ldap_host: '127.0.0.1',
      ldap_port: directory.port,
      base_dn: 'ou=people,dc=example,dc=test',
      attribute: 'uid',
    }),
    refused: [
      { ldap_host: 'a.test', base_dn: 'x', attribute: 'uid', ldaps: true, start_tls: true },
      {
        config: {
          '@entity': ["'ldaps' and 'start_tls' cannot be enabled simultaneously"],
          start_tls: 'value must be false',
        },
      },
    ],
    identity: {
      // A directory's own people.
      credential: () => null,
      request: (user) => ({
        headers: { authorization: `ldap ${base64(user === 'ada' ? 'ada:engine' : 'grace:co:bol')}` },
      }),
      header: 'x-credential-identifier',
    },
  },
  {
    name: 'oauth2',
    config: (mark) => ({
      realm: `mark-${mark}`,
      enable_client_credentials: true,
      accept_http_if_already_terminated: true,
    }),
    refused: [
      {},
      {
        config:
          'at least one of these fields must be true: enable_authorization_code, enable_implicit_grant, enable_client_credentials, enable_password_grant',
      },
    ],
    identity: {
      credential: (user) => [
        'oauth2',
        { name: user, client_id: user, client_secret: 'a secret', redirect_uris: ['https://a.test'] },
      ],
      first: (user) => ({
        method: 'POST',
        path: '/oauth2/token',
        headers: { 'x-forwarded-proto': 'https' },
        body: { grant_type: 'client_credentials', client_id: user, client_secret: 'a secret' },
      }),
      request: () => ({ headers: { authorization: { $concat: ['Bearer ', { $from: [0, 'json.access_token'] }] } } }),
    },
  },
  {
    name: 'post-function',
    config: (mark) => ({ access: [`kong.response.set_header('x-mark', 'mark-${mark}')`] }),
    refused: [
      {},
      {
        '@entity': [
          "at least one of these fields must be non-empty: 'config.certificate', 'config.rewrite', 'config.access', 'config.header_filter', 'config.body_filter', 'config.log'",
        ],
      },
    ],
  },
  {
    name: 'pre-function',
    config: (mark) => ({ access: [`kong.response.set_header('x-mark', 'mark-${mark}')`] }),
    refused: [
      { access: ['return ('] },
      { config: { access: ['error parsing pre-function: [string "return ("]:1: unexpected symbol near \'<eof>\''] } },
    ],
  },
  {
    name: 'proxy-cache',
    config: (mark) => ({ strategy: 'memory', content_type: [`text/mark-${mark}`] }),
    refused: [{}, { config: { strategy: 'required field missing' } }],
    tried: (mark) => ({
      request: { path: `/mark-${mark}` },
      is: ({ headers }) => /^(Miss|Hit)$/.test(headers['x-cache-status'] ?? ''),
    }),
  },
  {
    name: 'rate-limiting',
    config: (mark) => ({ minute: 1000 + mark, policy: 'local' }),
    refused: [
      { minute: 10, hour: 5 },
      { config: 'The limit for hour(5.0) cannot be lower than the limit for minute(10.0)' },
    ],
    shown: /ratelimit-limit-minute: 10(\d\d)/,
  },
  {
    name: 'redirect',
    config: (mark) => ({ location: `https://mark-${mark}.test/` }),
    refused: [
      { location: 'https://a.test', status_code: 600 },
      { config: { status_code: 'value should be between 100 and 599' } },
    ],
  },
  {
    name: 'request-size-limiting',
    config: (mark) => ({ allowed_payload_size: 200 - mark, size_unit: 'bytes' }),
    refused: [{ size_unit: 'stones' }, { config: { size_unit: 'expected one of: megabytes, kilobytes, bytes' } }],
    tried: (mark) => ({
      request: { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x'.repeat(201 - mark) },
      is: ({ status }) => status === 413,
    }),
  },
  {
    name: 'request-termination',
    config: (mark) => ({ message: `mark-${mark}` }),
    refused: [{ message: 'no', body: 'nor this' }, { config: 'message cannot be used with content_type or body' }],
  },
  {
    name: 'request-transformer',
    config: (mark) => ({ add: { headers: [`x-mark:mark-${mark}`] } }),
    refused: [{ add: { headers: ['alone'] } }, { config: { add: { headers: ['invalid value: alone'] } } }],
  },
  {
    name: 'response-ratelimiting',
    config: (mark) => ({ limits: { [`mark-${mark}`]: { minute: 1000 } } }),
    refused: [
      { limits: { video: {} } },
      {
        config: {
          limits: {
            '@entity': [
              "at least one of these fields must be non-empty: 'second', 'minute', 'hour', 'day', 'month', 'year'",
            ],
          },
        },
      },
    ],
  },
  {
    name: 'response-transformer',
    config: (mark) => ({ add: { headers: [`x-mark:mark-${mark}`] } }),
    refused: [{ add: { headers: ['alone'] } }, { config: { add: { headers: ['invalid value: alone'] } } }],
  },
  {
    name: 'session',
    config: (mark) => ({ cookie_name: `mark-${mark}` }),
    refused: [{ storage: 'shelf' }, { config: { storage: 'expected one of: cookie, kong' } }],
  },
  {
    name: 'standard-webhooks',
    config: (mark) => ({ secret_v1: `secret ${mark}` }),
    refused: [
      { secret_v1: 's', tolerance_second: -1 },
      { config: { tolerance_second: 'value must be greater than -1' } },
    ],
    tried: (mark) => ({
      request: {
        method: 'POST',
        headers: {
          'webhook-id': 'one',
          'webhook-timestamp': { $now: 0 },
          'webhook-signature': { $webhook: { secret: `secret ${mark}`, id: 'one', now: 0, payload: '{}' } },
        },
        body: '{}',
      },
      is: ({ status }) => status === 200,
    }),
  },
];
