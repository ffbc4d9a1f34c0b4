import { type FieldPath, textsAt } from './field-paths.ts';
import { type HeadPart, headProblem } from './head.ts';
import { isReference } from './vault-reference.ts';

/**
 * The fields that stand in the head of messages, by entity or plugin: what their schemas say with `head`, in a form that
 * data planes can check.
 */
type HeadFields = Readonly<Record<FieldPath, HeadPart>>;

const LLM: HeadFields = {
  'auth.header_name': 'name',
  'auth.header_value': 'value',
  'auth.aws_access_key_id': 'value',
  'model.name': 'value',
  'model.options.anthropic_version': 'value',
  'model.options.azure_instance': 'value',
  'model.options.azure_api_version': 'value',
  'model.options.azure_deployment_id': 'value',
  'model.options.upstream_path': 'value',
  'model.options.gemini.api_endpoint': 'value',
  'model.options.gemini.project_id': 'value',
  'model.options.gemini.location_id': 'value',
  'model.options.bedrock.aws_region': 'value',
};

/** Of the config every data plane loads whole. A test holds this table against the schemas. */
export const headFields: Readonly<Record<string, HeadFields>> = {
  routes: { 'headers.@': 'name' },
  upstreams: {
    hash_on_header: 'name',
    hash_fallback_header: 'name',
    hash_on_cookie: 'name',
    'healthchecks.active.headers.@': 'name',
    'healthchecks.active.headers.*.*': 'value',
  },
  'ai-proxy': LLM,
  'ai-request-transformer': inside('llm', LLM),
  'ai-response-transformer': inside('llm', LLM),
  'aws-lambda': { aws_key: 'value' },
  'azure-functions': {
    apikey: 'value',
    clientid: 'value',
    appname: 'value',
    hostdomain: 'value',
    routeprefix: 'value',
    functionname: 'value',
  },
  'basic-auth': { realm: 'value' },
  'correlation-id': { header_name: 'name' },
  cors: { 'origins.*': 'value', 'headers.*': 'value', 'exposed_headers.*': 'value' },
  'grpc-web': { allow_origin_header: 'value' },
  'hmac-auth': { realm: 'value' },
  'http-log': { 'headers.@': 'name', 'headers.*': 'value' },
  jwt: { 'header_names.*': 'name', realm: 'value' },
  'key-auth': { 'key_names.*': 'name', realm: 'value' },
  'ldap-auth': { header_type: 'value', realm: 'value' },
  oauth2: { 'scopes.*': 'value', auth_header_name: 'name', realm: 'value' },
  opentelemetry: {
    'headers.@': 'name',
    'headers.*': 'value',
    http_response_header_for_traceid: 'name',
    'propagation.clear.*': 'name',
  },
  'proxy-cache': { 'vary_headers.*': 'name' },
  'rate-limiting': { header_name: 'name' },
  redirect: { location: 'value' },
  'request-termination': { content_type: 'value', trigger: 'name' },
  'request-transformer': {
    'remove.headers.*': 'name:value',
    'rename.headers.*': 'name:name',
    'replace.headers.*': 'name:template',
    'replace.uri': 'template',
    'add.headers.*': 'name:template',
    'append.headers.*': 'name:template',
  },
  'response-ratelimiting': { header_name: 'name', 'limits.@': 'name' },
  'response-transformer': {
    'remove.headers.*': 'name:value',
    'rename.headers.*': 'name:name',
    'replace.headers.*': 'name:value',
    'add.headers.*': 'name:value',
    'append.headers.*': 'name:value',
  },
  session: { cookie_name: 'name', cookie_path: 'value', cookie_domain: 'value', remember_cookie_name: 'name' },
  zipkin: { tags_header: 'name', http_response_header_for_traceid: 'name', 'propagation.clear.*': 'name' },
};

function inside(record: string, fields: HeadFields): HeadFields {
  return Object.fromEntries(Object.entries(fields).map(([path, part]) => [`${record}.${path}`, part]));
}

interface Check {
  readonly path: string;
  readonly steps: readonly string[];
  readonly part: HeadPart;
}

const checks = new Map<string, readonly Check[]>(
  Object.entries(headFields).map(([kind, fields]) => [
    kind,
    Object.entries(fields).map(([path, part]) => ({ path, part, steps: path.split('.') })),
  ]),
);

/** What of a row cannot stand in the head of a message. */
interface HeadFault {
  readonly path: FieldPath;
  /** Why; may quote a name. */
  readonly problem: string;
}

/**
 * What of a row (or a plugin's config) would end a line in a message's head, or nothing. The control plane
 * refuses it at the write; rows written before it did, or loaded from a file, may still hold it. `kind`: the entity or plugin.
 */
export function headFieldFault(kind: string, row: Readonly<Record<string, unknown>>): HeadFault | undefined {
  for (const { path, steps, part } of checks.get(kind) ?? []) {
    for (const text of textsAt(row, steps)) {
      const problem = isReference(text) ? undefined : headProblem(part, text);
      if (problem !== undefined) return { path, problem };
    }
  }
  return undefined;
}

/** The same in words, with its place. */
export function headFieldProblem(kind: string, row: Readonly<Record<string, unknown>>): string | undefined {
  const fault = headFieldFault(kind, row);
  return fault === undefined ? undefined : `${fault.path}: ${fault.problem}`;
}
