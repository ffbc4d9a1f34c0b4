import { existsSync, readFileSync } from 'node:fs';
import { messageOf } from '../../shared/thrown.ts';

import { parseConf } from './conf-file.ts';
import { isInapplicable } from './inapplicable.ts';
import { properties, type SettingName, type Settings } from './properties.ts';
import type { Property } from './property.ts';
import { hasReferences, type SettingSecrets, settingSecrets, withSettingSecrets } from './references.ts';
import { checkTogether, idleSettings } from './rules.ts';

/** Where a setting's value came from, for people. */
type Origin = string;

/** Settings in force, with what is worth a warning. */
export interface LoadedSettings {
  readonly settings: Settings;
  /** Setting name to where it was set; absent for defaults. */
  readonly origins: ReadonlyMap<SettingName, Origin>;
  /** Things that are allowed but will not do what their writer may think. */
  readonly warnings: readonly string[];
}

/** Everything that is wrong with the settings at once, one line each. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

interface SettingsSources {
  /** Path given with `--conf`; must exist. */
  readonly conf?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Values from the command line, which win over all. */
  readonly overrides?: Readonly<Partial<Record<SettingName, string>>>;
}

/** Looked for in this order when no file is named; the last two are where Kong looks. */
const DEFAULT_CONF_FILES = [
  'holdfast.conf',
  '/etc/holdfast/holdfast.conf',
  '/etc/kong/kong.conf',
  '/etc/kong.conf',
] as const;

/**
 * Reads settings from, in rising order of strength: defaults, the configuration file, `KONG_*`, `HOLDFAST_*`, the
 * command line. Throws `SettingsError` naming every unknown or ill-formed one.
 */
export function loadSettings(sources: SettingsSources): LoadedSettings {
  const problems: string[] = [];
  const warnings: string[] = [];
  const given = givenBy(sources, problems, warnings);
  for (const [name, now] of Object.entries(RENAMED)) {
    const entry = given.get(name);
    given.delete(name);
    if (entry !== undefined && !given.get(now)?.value) given.set(now, entry);
  }

  takeNewDnsClient(given);

  const values: Record<string, unknown> = {};
  const references: Partial<Record<SettingName, string>> = {};
  const secrets = secretsFor(sources, given, problems);
  const origins = new Map<SettingName, Origin>();
  for (const [name, property] of Object.entries<Property<unknown>>(properties)) {
    const entry = given.get(name);
    given.delete(name);
    if (entry && entry.value !== '' && isSettingName(name)) origins.set(name, entry.origin);
    // As in Kong, an empty value means the default, but for where to listen: nobody leaves that open by mistake.
    const unset = entry === undefined || (entry.value === '' && property.emptyIsDefault !== false);
    const written = unset ? property.default : entry.value;
    const refers = written !== null && hasReferences(written);
    const read = refers ? withSettingSecrets(written, secrets) : { value: written };
    if ('problem' in read) {
      problems.push(`${name} = '${written}' (${entry?.origin}): ${read.problem}`);
      continue;
    }
    if (refers && isSettingName(name)) references[name] = written;
    const text = read.value;
    const value = text === null ? null : property.parse(text);
    if (value === undefined) {
      const shown = refers ? `'${written}'` : property.secret ? '******' : `'${text}'`;
      problems.push(`${name} = ${shown} (${entry?.origin ?? 'default'}) is not allowed; allowed: ${property.allowed}`);
    }
    values[name] = value;
  }
  const idle: string[] = [];
  for (const [name, { value, origin }] of given) {
    if (isInapplicable(name)) {
      // Unset, as in a kong.conf with every line uncommented, it asks for nothing.
      if (value !== '') idle.push(`${name} (${origin})`);
    } else if (origin.startsWith('environment variable KONG_')) {
      // As in Kong, whose images and neighbours in a cluster set variables that are no settings (KONG_VERSION).
      warnings.push(`${name} (${origin}) has no effect: it is not a setting`);
    } else if (!isServiceLink(origin)) problems.push(unknownSetting(name, value, origin));
  }
  if (idle.length > 0) {
    warnings.push(`without effect, since Holdfast has no such part to configure: ${idle.join(', ')}`);
  }
  if (problems.length > 0) throw new SettingsError(problems);
  // Every key of `properties` was just assigned what its parser returned.
  const settings = { ...values, ...roleDefaults(values, origins), references } as Settings;
  const conflicts = checkTogether(settings, origins);
  if (conflicts.length > 0) throw new SettingsError(conflicts);
  if (settings.stream_listen.length > 0 && settings.role !== 'control_plane' && settings.data_plane_host !== 'node') {
    const given = `stream_listen (${origins.get('stream_listen') ?? 'default'})`;
    warnings.push(`${given} has no effect: workerd cannot listen for streams, set data_plane_host = node`);
  }
  return { settings, origins, warnings: [...warnings, ...idleSettings(settings, origins)] };
}

/**
 * The folder of these settings, for what is to be done with an instance that runs there: whatever else is wrong with them, and also where
 * secrets that they refer to are not to be had.
 */
export function loadPrefix(sources: SettingsSources): string {
  const { overrides } = sources;
  if (overrides?.prefix !== undefined) return overrides.prefix;
  const problems: string[] = [];
  // Files with values of other settings may be there for the instance alone.
  const environment = Object.fromEntries(
    Object.entries(sources.environment).filter(([variable]) => {
      const kept = keptInFile(variable.replace(/^(KONG|HOLDFAST)_/, '').toLowerCase());
      return kept === null || kept === 'prefix';
    }),
  );
  const given = givenBy({ ...sources, environment }, problems, []);
  const entry = given.get('prefix');
  const written = entry?.value || (properties.prefix.default ?? '');
  const read = hasReferences(written)
    ? withSettingSecrets(written, secretsFor({ ...sources, environment }, given, problems))
    : { value: written };
  if ('problem' in read) problems.push(`prefix = '${written}' (${entry?.origin}): ${read.problem}`);
  if ('problem' in read || problems.length > 0) throw new SettingsError(problems);
  return read.value;
}

/** What each source has, the strongest of it, under the names of settings. */
function givenBy(
  sources: SettingsSources,
  problems: string[],
  warnings: string[],
): Map<string, { value: string; origin: Origin }> {
  const given = new Map<string, { value: string; origin: Origin }>();
  for (const source of [
    fromFile(sources.conf, problems, warnings),
    fromEnvironment(sources.environment, problems),
    fromCommand(sources),
  ]) {
    for (const [name, entry] of source) given.set((Object.hasOwn(ALIASES, name) && ALIASES[name]) || name, entry);
  }
  return given;
}

/**
 * What is another default in some role: a control plane has a Status API where it is told to, so that two planes of one machine, or
 * two control planes, never meet at a port that nobody named.
 */
function roleDefaults(
  { role }: Readonly<Record<string, unknown>>,
  origins: ReadonlyMap<SettingName, Origin>,
): Partial<Settings> {
  return role === 'control_plane' && !origins.has('status_listen') ? { status_listen: [] } : {};
}

/** Other names that Kong has for settings: older ones, and directives it puts closer to the proxy's listeners. */
const ALIASES: Readonly<Record<string, SettingName>> = {
  client_max_body_size: 'nginx_http_client_max_body_size',
  nginx_proxy_client_max_body_size: 'nginx_http_client_max_body_size',
  nginx_proxy_client_body_timeout: 'nginx_http_client_body_timeout',
  nginx_proxy_client_header_timeout: 'nginx_http_client_header_timeout',
  nginx_proxy_ssl_client_certificate: 'nginx_http_ssl_client_certificate',
  nginx_proxy_ssl_verify_client: 'nginx_http_ssl_verify_client',
  nginx_sproxy_ssl_client_certificate: 'nginx_stream_ssl_client_certificate',
  nginx_sproxy_ssl_verify_client: 'nginx_stream_ssl_verify_client',
  nginx_sproxy_proxy_protocol: 'nginx_stream_proxy_protocol',
  nginx_proxy_ssl_stapling: 'nginx_http_ssl_stapling',
  nginx_proxy_send_timeout: 'nginx_http_send_timeout',
  nginx_proxy_keepalive_timeout: 'nginx_http_keepalive_timeout',
  nginx_proxy_keepalive_requests: 'nginx_http_keepalive_requests',
  nginx_proxy_large_client_header_buffers: 'nginx_http_large_client_header_buffers',
  nginx_proxy_proxy_ssl_verify: 'nginx_http_proxy_ssl_verify',
  nginx_proxy_proxy_ssl_trusted_certificate: 'nginx_http_proxy_ssl_trusted_certificate',
  nginx_proxy_proxy_ssl_verify_depth: 'nginx_http_proxy_ssl_verify_depth',
  nginx_location_proxy_ssl_verify: 'nginx_http_proxy_ssl_verify',
  nginx_location_proxy_ssl_trusted_certificate: 'nginx_http_proxy_ssl_trusted_certificate',
  nginx_location_proxy_ssl_verify_depth: 'nginx_http_proxy_ssl_verify_depth',
  nginx_sproxy_proxy_ssl_verify: 'nginx_stream_proxy_ssl_verify',
  nginx_sproxy_proxy_ssl_trusted_certificate: 'nginx_stream_proxy_ssl_trusted_certificate',
  nginx_sproxy_proxy_ssl_verify_depth: 'nginx_stream_proxy_ssl_verify_depth',
  nginx_main_worker_processes: 'nginx_worker_processes',
  nginx_proxy_real_ip_header: 'real_ip_header',
  nginx_proxy_real_ip_recursive: 'real_ip_recursive',
  nginx_http_ssl_protocols: 'ssl_protocols',
  nginx_http_ssl_prefer_server_ciphers: 'ssl_prefer_server_ciphers',
  nginx_http_ssl_dhparam: 'ssl_dhparam',
  nginx_http_ssl_session_tickets: 'ssl_session_tickets',
  nginx_http_ssl_session_timeout: 'ssl_session_timeout',
};

/** Names that Kong has given up; what is set by the new one counts. */
const RENAMED: Readonly<Record<string, SettingName>> = {
  opentelemetry_tracing: 'tracing_instrumentations',
  opentelemetry_tracing_sampling_rate: 'tracing_sampling_rate',
};

/** Settings of the DNS client that Kong has with `new_dns_client = on`, which goes by these alone. */
const NEW_DNS_CLIENT: Readonly<Record<string, SettingName>> = {
  resolver_address: 'dns_resolver',
  resolver_hosts_file: 'dns_hostsfile',
  resolver_family: 'dns_order',
  resolver_valid_ttl: 'dns_valid_ttl',
  resolver_error_ttl: 'dns_error_ttl',
};

function takeNewDnsClient(given: Map<string, { value: string; origin: Origin }>): void {
  if (!/^(on|true)$/.test(given.get('new_dns_client')?.value ?? '')) return;
  given.delete('new_dns_client');
  for (const [name, own] of Object.entries(NEW_DNS_CLIENT)) {
    const entry = given.get(name);
    given.delete(name);
    if (entry?.value) given.set(own, entry);
  }
}

/** What references of other settings come to; that of a setting the vault needs itself has to be plain. */
function secretsFor(
  { environment }: SettingsSources,
  given: ReadonlyMap<string, { value: string }>,
  problems: string[],
): SettingSecrets {
  const own = (name: string): string | null => given.get(name)?.value || null;
  try {
    return settingSecrets(environment, own('vault_env_file'), own('vault_env_prefix'));
  } catch (error) {
    problems.push(messageOf(error));
    return { variables: environment, prefix: null };
  }
}

/** What no text has, and what stands for bytes that are none in UTF-8. */
const NO_TEXT = /[\0\ufffd]/;

/** The configuration file: the one that is named, or the first of those looked for that is there. */
export function confFile(named: string | undefined): string | undefined {
  return named ?? DEFAULT_CONF_FILES.find((candidate) => existsSync(candidate));
}

function fromFile(
  path: string | undefined,
  problems: string[],
  warnings: string[],
): Map<string, { value: string; origin: Origin }> {
  const result = new Map<string, { value: string; origin: Origin }>();
  const file = confFile(path);
  if (file === undefined) return result;
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    problems.push(`cannot read the configuration file '${file}': ${messageOf(error)}`);
    return result;
  }
  if (NO_TEXT.test(content)) {
    problems.push(`${file}: is not UTF-8 text; save it as UTF-8`);
    return result;
  }
  const { lines, problems: unreadable } = parseConf(content);
  for (const { line, fault } of unreadable) problems.push(`${file}:${line}: ${fault}`);
  for (const { name, value, line } of lines) {
    const earlier = result.get(name);
    if (earlier !== undefined) warnings.push(`${name} is set twice: ${file}:${line} wins over ${earlier.origin}`);
    result.set(name, { value, origin: `${file}:${line}` });
  }
  return result;
}

function fromEnvironment(
  environment: SettingsSources['environment'],
  problems: string[],
): Map<string, { value: string; origin: Origin }> {
  const result = new Map<string, { value: string; origin: Origin }>();
  for (const prefix of ['KONG_', 'HOLDFAST_']) {
    for (const [variable, value] of Object.entries(environment)) {
      if (!variable.startsWith(prefix) || value === undefined) continue;
      const name = variable.slice(prefix.length).toLowerCase();
      const origin = `environment variable ${variable}`;
      const kept = keptInFile(name);
      if (kept === null) {
        result.set(name, { value: asInFile(value), origin });
        continue;
      }
      if (value === '') continue;
      const plain = variable.slice(0, -FILE_ENDING.length);
      if (environment[plain]) problems.push(`${plain} and ${variable} are both set, and mean the same`);
      try {
        const content = readFileSync(value, 'utf8');
        if (NO_TEXT.test(content)) problems.push(`${variable} = '${value}': is not UTF-8 text; save it as UTF-8`);
        else result.set(kept, { value: asInFile(content), origin });
      } catch (error) {
        problems.push(`${variable} = '${value}' cannot be read: ${messageOf(error)}`);
      }
    }
  }
  return result;
}

/** As in Kong's image: `KONG_PG_PASSWORD_FILE` names a file with the value of `pg_password`, such as Docker makes of secrets. */
const FILE_ENDING = '_FILE';

/** The setting whose value is in the file that another is to name; null: the name is no such one. */
function keptInFile(name: string): string | null {
  if (!name.toUpperCase().endsWith(FILE_ENDING) || isSettingName(name)) return null;
  const own = name.slice(0, -FILE_ENDING.length);
  return isSettingName(own) || Object.hasOwn(ALIASES, own) || Object.hasOwn(RENAMED, own) ? own : null;
}

/** As in Kong: blanks around it do not count, and a `#` that was escaped for a file is a plain one. */
function asInFile(value: string): string {
  return value.trim().replaceAll('\\#', '#');
}

function fromCommand({ overrides = {} }: SettingsSources): Map<string, { value: string; origin: Origin }> {
  return new Map(Object.entries(overrides).map(([name, value]) => [name, { value, origin: 'command line' }]));
}

function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(properties, name);
}

/** Kubernetes gives every container the addresses of the services around it; one may be named `holdfast`. */
function isServiceLink(origin: Origin): boolean {
  return /^environment variable HOLDFAST_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP)(_[A-Z]+)?)?)$/.test(
    origin,
  );
}

function unknownSetting(name: string, value: string, origin: Origin): string {
  const nearest = Object.keys(properties)
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const hint =
    nearest && nearest.distance <= Math.max(2, name.length / 4) ? `; did you mean '${nearest.candidate}'?` : '';
  // A misspelt secret is still a secret.
  const shown = /pass?w|key|secret|token/.test(name) ? '******' : `'${value}'`;
  return `${name} = ${shown} (${origin}) is not a setting of Holdfast${hint}`;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
