import { predicates } from '../atc/check.ts';
import { parseExpression } from '../atc/parser.ts';
import { luaPluginSchema } from '../lua-plugins/provided.ts';
import { sourceOf } from '../lua-plugins/read-plugin.ts';
import { bundledPlugins, plugins } from '../plugins/registry.ts';
import { isRecord, type Row, recordOrEmpty } from '../record.ts';
import { referencesIn } from '../reference-fields.ts';
import { CAPABILITIES, type Capability } from './capabilities.ts';
import { need, type Requirement } from './need.ts';

/** The requirements of one table's rows. */
type Rule = (row: Row) => Iterable<Requirement>;

const STREAM_PROTOCOLS: readonly unknown[] = ['tcp', 'tls', 'tls_passthrough', 'udp'];
const GRPC_PROTOCOLS: readonly unknown[] = ['grpc', 'grpcs'];

const rules: Readonly<Record<string, Rule>> = {
  *services(row) {
    if (GRPC_PROTOCOLS.includes(row.protocol)) yield need('upstream_http2', 'protocol', row.protocol);
    if (STREAM_PROTOCOLS.includes(row.protocol)) yield need('stream', 'protocol', row.protocol);
    if (isRecord(row.client_certificate)) yield need('upstream_client_certificate', 'client_certificate');
    if (filled(row.ca_certificates)) yield need('upstream_ca', 'ca_certificates');
    if (row.tls_verify === false) yield need('upstream_tls_verify_off', 'tls_verify', false);
    if (typeof row.tls_verify_depth === 'number') {
      yield need('upstream_tls_verify_depth', 'tls_verify_depth', row.tls_verify_depth);
    }
  },
  *routes(row) {
    const protocols: readonly unknown[] = Array.isArray(row.protocols) ? row.protocols : [];
    const grpc = protocols.find((protocol) => GRPC_PROTOCOLS.includes(protocol));
    const stream = protocols.find((protocol) => STREAM_PROTOCOLS.includes(protocol));
    if (grpc !== undefined) yield need('inbound_http2', 'protocols', grpc);
    if (stream !== undefined) yield need('stream', 'protocols', stream);
    if (row.preserve_host === true) yield need('upstream_host', 'preserve_host', true);
    if (filled(row.sources)) yield need('client_address', 'sources');
    if (filled(row.snis)) yield need('inbound_sni', 'snis');
    if (typeof row.expression === 'string') yield* expressionNeeds(row.expression);
  },
  *upstreams(row) {
    if (typeof row.host_header === 'string') yield need('upstream_host', 'host_header', row.host_header);
    if (isRecord(row.client_certificate)) yield need('upstream_client_certificate', 'client_certificate');
    if (row.use_srv_name === true) yield need('dns_records', 'use_srv_name', true);
  },
  *snis(row) {
    yield need('inbound_sni', 'name', row.name);
  },
  *plugins(row) {
    if (isRecord(row.consumer_group)) yield need('consumer_groups', 'consumer_group');
    const plugin = plugins.get(String(row.name));
    if (plugin === undefined) yield need('lua', 'name', row.name);
    if (plugin?.needs !== undefined) yield* plugin.needs(recordOrEmpty(row.config));
    yield* referenceNeeds('plugins', row);
  },
  *custom_plugins(row) {
    if (hasPhase(row, 'certificate')) yield need('tls_handshake', 'handler', 'certificate');
  },
  certificates: (row) => referenceNeeds('certificates', row),
};

function* referenceNeeds(table: string, row: Row): Generator<Requirement> {
  const [reference] = referencesIn(table, row, (name) => !bundledPlugins.has(name));
  if (reference === undefined) return;
  yield {
    capability: 'vault_references',
    reason: `it refers to ${reference}, which needs ${CAPABILITIES.vault_references}`,
  };
}

/** One for each capability the fields of an expression need; none for one that is not valid, which is told elsewhere. */
function expressionNeeds(source: string): readonly Requirement[] {
  const found = new Map<Capability, Requirement>();
  for (const field of fieldsOf(source)) {
    const capability = FIELDS.find(([prefix]) => field.startsWith(prefix))?.[1];
    if (capability === undefined || found.has(capability)) continue;
    found.set(capability, {
      capability,
      reason: `'expression' asks for ${field}, which needs ${CAPABILITIES[capability]}`,
    });
  }
  return [...found.values()];
}

const FIELDS: readonly (readonly [prefix: string, Capability])[] = [
  ['tls.sni', 'inbound_sni'],
  ['net.src.', 'client_address'],
  ['net.dst.ip', 'destination_address'],
  ['edge.', 'edge_fields'],
];

function fieldsOf(source: string): ReadonlySet<string> {
  try {
    return new Set([...predicates(parseExpression(source))].map(({ field }) => field));
  } catch {
    return new Set();
  }
}

/** What a row of a table needs beyond what every data plane can do. Empty for almost every row. */
export function requirements(table: string, row: Row): readonly Requirement[] {
  const rule = Object.hasOwn(rules, table) ? rules[table] : undefined;
  return rule === undefined ? [] : [...rule(row)];
}

/** Of a plugin in Lua. One that does not load is told elsewhere. */
function hasPhase(row: Row, phase: string): boolean {
  const source = sourceOf(row);
  // Loading it takes time, and few say the word.
  if (![source.handler, ...Object.values(source.modules ?? {})].some((lua) => lua.includes(phase))) return false;
  try {
    return luaPluginSchema(source).phases.includes(phase);
  } catch {
    return false;
  }
}

function filled(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}
