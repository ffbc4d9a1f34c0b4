import { describe, expect, it } from 'vitest';
import { routes } from '../../shared/entities/routes.ts';
import { upstreams } from '../../shared/entities/upstreams.ts';
import { expressionsOf, type HeadPart, headProblem, isFieldName, isFrequentFieldName } from '../../shared/head.ts';
import { headFieldProblem, headFields } from '../../shared/head-fields.ts';
import { plugins } from '../../shared/plugins/registry.ts';
import { compileRule } from '../../shared/schema/rules.ts';
import type { Field, Fields, StringField } from '../../shared/schema/vocabulary.ts';

function* texts(field: Field | undefined, path: string): Generator<[string, StringField]> {
  switch (field?.type) {
    case 'string':
      return yield [path, field];
    case 'array':
    case 'set':
      return yield* texts(field.elements, `${path}.*`);
    case 'map':
      yield* texts(field.keys, `${path}.@`);
      return yield* texts(field.values, `${path}.*`);
    case 'record':
      return yield* textsIn(field.fields, `${path}.`);
  }
}

function* textsIn(fields: Fields, prefix: string): Generator<[string, StringField]> {
  for (const [name, field] of Object.entries(fields)) yield* texts(field, prefix + name);
}

function configOf(plugin: string): Fields {
  const { config } = plugins.get(plugin)?.fields ?? {};
  return config?.type === 'record' ? config.fields : {};
}

it('data planes check what the schemas say stands in the head of messages, no more and no less', () => {
  const schemas = new Map<string, Fields>([
    ['routes', routes.fields],
    ['upstreams', upstreams.fields],
    ...[...plugins.keys()].map((name) => [name, configOf(name)] as const),
  ]);
  const partsOf = (fields: Fields): [string, HeadPart][] =>
    [...textsIn(fields, '')].flatMap(([path, { head }]) => (head === undefined ? [] : [[path, head]]));
  const declaredFields = [...schemas].map(([name, fields]) => [name, Object.fromEntries(partsOf(fields))]);
  const withSome = Object.fromEntries(declaredFields.filter(([, parts]) => Object.keys(parts ?? {}).length > 0));
  expect(headFields).toEqual(withSome);
});

/**
 * Of each plugin the texts that may hold the end of a line, because none of them comes into the head of a message: bodies and prompts, what a
 * body, a query or a name is compared with or becomes a part of (escaped), secrets that are digested, and what others than HTTP are told.
 */
const OF_NO_HEAD: Readonly<Record<string, string>> = {
  acl: 'allow.* deny.*',
  acme:
    'account_key.key_id account_key.key_set eab_kid eab_hmac_key storage_config.redis.username storage_config.redis.password ' +
    'storage_config.redis.extra_options.namespace storage_config.consul.kv_path storage_config.consul.token ' +
    'storage_config.vault.kv_path storage_config.vault.token storage_config.vault.tls_server_name storage_config.vault.auth_path ' +
    'storage_config.vault.auth_role storage_config.vault.jwt_path preferred_chain',
  'ai-prompt-decorator': 'prompts.prepend.*.content prompts.append.*.content',
  'ai-prompt-guard': 'allow_patterns.* deny_patterns.*',
  'ai-prompt-template': 'templates.*.name templates.*.template',
  'ai-proxy': 'auth.param_name auth.param_value auth.gcp_service_account_json auth.aws_secret_access_key',
  'ai-request-transformer':
    'prompt transformation_extract_pattern llm.auth.param_name llm.auth.param_value llm.auth.gcp_service_account_json ' +
    'llm.auth.aws_secret_access_key',
  'ai-response-transformer':
    'prompt transformation_extract_pattern llm.auth.param_name llm.auth.param_value llm.auth.gcp_service_account_json ' +
    'llm.auth.aws_secret_access_key',
  'aws-lambda': 'aws_secret aws_assume_role_arn aws_role_session_name function_name qualifier',
  'basic-auth': 'anonymous',
  'bot-detection': 'allow.* deny.*',
  datadog: 'prefix service_name_tag status_tag consumer_tag metrics.*.tags.*',
  'file-log': 'path custom_fields_by_lua.@',
  'grpc-gateway': 'proto',
  'grpc-web': 'proto',
  'hmac-auth': 'anonymous',
  'http-log': 'custom_fields_by_lua.@',
  'ip-restriction': 'message',
  jwt: 'uri_param_names.* cookie_names.* key_claim_name anonymous',
  'key-auth': 'anonymous',
  'ldap-auth': 'base_dn attribute anonymous',
  loggly: 'key tags.* custom_fields_by_lua.@',
  oauth2: 'provision_key anonymous',
  opentelemetry: 'resource_attributes.@ resource_attributes.*',
  'proxy-cache': 'content_type.* memory.dictionary_name vary_query_params.*',
  'rate-limiting': 'redis.username redis.password error_message',
  'request-termination': 'message body',
  'request-transformer':
    'remove.body.* remove.querystring.* rename.body.* rename.querystring.* replace.body.* replace.querystring.* add.body.* ' +
    'add.querystring.* append.body.* append.querystring.*',
  'response-ratelimiting': 'redis.username redis.password',
  'response-transformer': 'remove.json.* rename.json.* replace.json.* add.json.* append.json.*',
  session: 'secret audience logout_query_arg logout_post_arg',
  'standard-webhooks': 'secret_v1',
  statsd: 'prefix',
  syslog: 'custom_fields_by_lua.@',
  'tcp-log': 'tls_sni custom_fields_by_lua.@',
  'udp-log': 'custom_fields_by_lua.@',
  zipkin: 'local_service_name default_service_name static_tags.*.name static_tags.*.value',
};

it('every text of a plugin that may end a line is known to come into no head', () => {
  // What fields of the usual kinds are like, but for the end of a line.
  const samples = ['a\r\nb', '/a\r\nb', 'http://a/\r\nb', 'a:b\r\nc', 'a.b\r\n', '1.1.1.1\r\n'];
  const free = [...plugins.keys()].map((name) => {
    const fields = [...textsIn(configOf(name), '')].filter(([, field]) => {
      const rule = compileRule(field);
      return samples.some((text) => rule(text) === undefined);
    });
    return [name, fields.map(([path]) => path).join(' ')];
  });
  expect(Object.fromEntries(free.filter(([, fields]) => fields !== ''))).toEqual(OF_NO_HEAD);
});

describe('what may stand in a head', () => {
  it.each<[HeadPart, string]>([
    ['name', 'X-Any.Token~1'],
    ['value', 'Zürich\t東京 č'],
    ['value', '{vault://env/key}'],
    ['template', 'a $(headers["x"]\n) b'],
    ['name:template', 'x:$(\nquery_params.y)'],
    ['name:value', 'x:a:b'],
    ['name:value', 'x'],
    ['name:name', 'x:y'],
  ])('%s %j', (part, text) => expect(headProblem(part, text)).toBeUndefined());

  it.each<[HeadPart, string, string]>([
    ['name', '', '"" cannot be the name of a header'],
    ['name', 'X Y', '"X Y" cannot be the name of a header'],
    ['name', 'é', 'letters, digits'],
    ['value', 'a\r\nX-Evil: 1', 'control character U+000D (at position 2)'],
    ['value', 'a\0', 'U+0000'],
    ['value', '\x7f', 'U+007F'],
    ['value', '\x85', 'U+0085'],
    ['template', '$(a)\n', 'U+000A'],
    ['template', '$(a\n', 'U+000A'],
    ['name:template', 'x:$(a)\r$(b)', 'U+000D'],
    ['name:value', 'x y:a', '"x y" cannot'],
    ['name:name', 'x:y z', '"y z" cannot'],
    ['name:name', 'x:y:z', '"y:z" cannot'],
  ])('not %s %j', (part, text, why) => expect(headProblem(part, text)).toContain(why));

  it('finds the outermost templates, and only those that are closed', () => {
    const found = (text: string) => expressionsOf(text).map(({ start, end }) => text.slice(start, end));
    expect(found('a$(b(c)$(d))e$(f)$(g')).toEqual(['$(b(c)$(d))', '$(f)']);
    expect(found('(a$(b))')).toEqual(['$(b)']);
    expect(found(`${'$('.repeat(50_000)}x`)).toEqual([]);
  });

  it('tells the place in a row', () => {
    expect(headFieldProblem('http-log', { headers: { 'X Y': '' } })).toMatch(/^headers\.@: "X Y"/);
    expect(headFieldProblem('cors', { exposed_headers: ['a', 'b\n'] })).toMatch(/^exposed_headers\.\*: .*U\+000A/);
    expect(headFieldProblem('ai-proxy', { auth: { header_name: '{vault://env/name}' } })).toBeUndefined();
    expect(headFieldProblem('ai-proxy', { auth: { header_name: '{vault://env/n\r\n}' } })).toBeDefined();
    expect(headFieldProblem('unheard-of', { realm: '\n' })).toBeUndefined();
  });

  it('looks at each of a map of names, however many', () => {
    const headers = Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`x-${i}`, '']));
    expect(headFieldProblem('http-log', { headers })).toBeUndefined();
    expect(headFieldProblem('http-log', { headers: { ...headers, 'X Y': '' } })).toMatch(/^headers\.@: "X Y"/);
  });
});

describe('what is remembered of names of fields', () => {
  const good = ['X-A', 'x_b', '!', 'a'.repeat(64), 'a'.repeat(10_000)];
  const bad = ['', ' ', 'X A', 'X-A:', 'X-A\r\nY', 'caf\u00e9', '\u0141', `${'a'.repeat(10_000)} `];

  it('is the same however often one is asked about, and by whom', () => {
    for (let time = 0; time < 3; time++) {
      for (const judge of [isFieldName, isFrequentFieldName]) {
        expect(good.filter((name) => !judge(name))).toEqual([]);
        expect(bad.filter((name) => judge(name))).toEqual([]);
      }
    }
  });

  it('is the same after more names than are kept', () => {
    for (let n = 0; n < 5_000; n++) expect(isFrequentFieldName(`x-${n}`)).toBe(true);
    expect([...good, 'x-0', 'x-4999'].every(isFieldName)).toBe(true);
    expect(bad.some(isFieldName)).toBe(false);
  });
});
