import { type FieldPath, replaceTexts, textsAt } from './field-paths.ts';
import { isRecord } from './record.ts';
import { isReference } from './vault-reference.ts';

const LLM: readonly FieldPath[] = [
  'auth.header_name',
  'auth.header_value',
  'auth.param_name',
  'auth.param_value',
  'auth.gcp_service_account_json',
  'auth.aws_access_key_id',
  'auth.aws_secret_access_key',
];
const REDIS: readonly FieldPath[] = ['redis.username', 'redis.password'];

/**
 * The fields of the config of plugins that may hold a reference to a vault: what their schemas say with `referenceable`, in a form
 * that data planes can read. A test holds this table against the schemas.
 */
export const pluginReferences: Readonly<Record<string, readonly FieldPath[]>> = {
  acme: [
    'account_email',
    'eab_kid',
    'eab_hmac_key',
    'storage_config.redis.username',
    'storage_config.redis.password',
    'storage_config.consul.token',
    'storage_config.vault.token',
  ],
  'ai-proxy': LLM,
  'ai-request-transformer': LLM.map((path) => `llm.${path}`),
  'ai-response-transformer': LLM.map((path) => `llm.${path}`),
  'aws-lambda': ['aws_key', 'aws_secret', 'aws_assume_role_arn'],
  'azure-functions': ['apikey', 'clientid'],
  datadog: ['host'],
  'http-log': ['http_endpoint', 'headers.*'],
  loggly: ['key'],
  opentelemetry: ['traces_endpoint', 'logs_endpoint', 'headers.*'],
  'rate-limiting': REDIS,
  'response-ratelimiting': REDIS,
  session: ['secret'],
  'standard-webhooks': ['secret_v1'],
};

/** The same of entities that data planes load whole. */
export const entityReferences: Readonly<Record<string, readonly FieldPath[]>> = {
  certificates: ['cert', 'key', 'cert_alt', 'key_alt'],
};

type Row = Readonly<Record<string, unknown>>;

/**
 * Where a row of a table may refer to vaults; undefined: nowhere. Of a plugin that came with the config (`sent`) only its schema knows,
 * which stays on the control plane: in any text of its config.
 */
function placesOf(table: string, row: Row, sent: IsSent): readonly (readonly string[])[] | undefined {
  if (table !== 'plugins') return compiledEntities.get(table);
  const name = String(row.name);
  return sent(name) ? ANYWHERE : compiledPlugins.get(name);
}

/** Whether a plugin of this name came with the config. */
type IsSent = (plugin: string) => boolean;

const ANYWHERE = [['config', '**']];

const compiledPlugins = compiled(pluginReferences, 'config.');
const compiledEntities = compiled(entityReferences, '');

function compiled(
  paths: Readonly<Record<string, readonly FieldPath[]>>,
  before: string,
): ReadonlyMap<string, readonly (readonly string[])[]> {
  return new Map(
    Object.entries(paths).map(([name, fields]) => [name, fields.map((path) => `${before}${path}`.split('.'))]),
  );
}

/** The references to vaults in a row, each once. */
export function referencesIn(table: string, row: Row, sent: IsSent): readonly string[] {
  const places = placesOf(table, row, sent);
  if (places === undefined) return NONE;
  const found = new Set<string>();
  for (const steps of places) for (const text of textsAt(row, steps)) if (isReference(text)) found.add(text);
  return found.size === 0 ? NONE : [...found];
}

const NONE: readonly string[] = [];

/** The row with each reference replaced by what `secretOf` gives for it. */
export function withoutReferences<R extends Row>(
  table: string,
  row: R,
  sent: IsSent,
  secretOf: (reference: string) => string,
): R {
  let next: unknown = row;
  for (const steps of placesOf(table, row, sent) ?? []) {
    next = replaceTexts(next, steps, (text) => (isReference(text) ? secretOf(text) : text));
  }
  return isRecord(next) ? { ...row, ...next } : row;
}
