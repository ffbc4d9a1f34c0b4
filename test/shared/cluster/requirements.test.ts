import { expect, it } from 'vitest';
import '../../plugin-lua.ts';
import { requirements } from '../../../shared/cluster/requirements.ts';
import type { Row } from '../../../shared/record.ts';

const needed = (row: Readonly<Record<string, unknown>>) =>
  requirements('routes', row).map(({ capability }) => capability);

it.each<[string, readonly string[]]>([
  ['http.path ^= "/a" && net.dst.port == 443', []],
  [
    'tls.sni == "a" || (http.path == "/" && net.src.ip in 10.0.0.0/8 && net.src.port == 1)',
    ['inbound_sni', 'client_address'],
  ],
  ['!(net.dst.ip == 10.0.0.1) && any(lower(http.headers.x)) == "tls.sni"', ['destination_address']],
  ['lower(edge.country) == "de" && edge.asn == 1', ['edge_fields']],
  ['not valid', []],
])('names what the fields of %j need of the runtime', (expression, capabilities) => {
  expect(needed({ protocols: ['http'], expression })).toEqual(capabilities);
});

it('asks for vaults where a field that may refer to one does', () => {
  const needs = (table: string, row: Row) => requirements(table, row).map(({ reason }) => reason);
  const reference = '{vault://env/x}';
  const config = { secret_v1: reference, tolerance_second: 1 };
  expect(needs('plugins', { name: 'standard-webhooks', config })[0]).toMatch(
    /^it refers to \{vault:\/\/env\/x\}, which/,
  );
  expect(needs('certificates', { cert: 'PEM', key: reference })).toHaveLength(1);
  expect(needs('certificates', { cert: 'PEM', key: 'PEM' })).toEqual([]);
  expect(needs('plugins', { name: 'request-termination', config: { message: reference } })).toEqual([]);
});

it('asks for what a plugin says beside its schema, and for groups where one is named', () => {
  const capabilities = (row: Row) => requirements('plugins', row).map(({ capability }) => capability);
  expect(capabilities({ name: 'ip-restriction', config: { allow: ['10.0.0.1'] } })).toEqual(['client_address']);
  expect(capabilities({ name: 'grpc-web', config: {} })).toEqual(['upstream_http2']);
  expect(capabilities({ name: 'proxy-cache', config: { strategy: 'edge' } })).toEqual(['edge_cache']);
  expect(capabilities({ name: 'proxy-cache', config: { strategy: 'memory' } })).toEqual([]);
  expect(capabilities({ name: 'cors', consumer_group: { id: 'g' }, config: {} })).toEqual(['consumer_groups']);
  expect(capabilities({ name: 'ldap-auth', config: { ldaps: true, verify_ldap_host: true } })).toEqual([]);
  expect(capabilities({ name: 'ldap-auth', config: { start_tls: true, verify_ldap_host: false } })).toEqual([
    'tls_unverified',
  ]);
  expect(capabilities({ name: 'one-that-is-sent', config: null })).toEqual(['lua']);
});

it('says which field of the expression asks for it', () => {
  expect(requirements('routes', { expression: 'net.dst.ip == ::1' })[0]?.reason).toContain(
    "'expression' asks for net.dst.ip",
  );
});

it('names the phase before TLS, of functions and of plugins in Lua', () => {
  const capabilities = (table: string, row: Row) => requirements(table, row).map(({ capability }) => capability);
  const functions = (config: object) => capabilities('plugins', { name: 'pre-function', config });
  expect(functions({ certificate: [], access: ['return'] })).toEqual(['lua']);
  expect(functions({ certificate: ['return'] })).toEqual(['lua', 'tls_handshake']);
  const plugin = (handler: string) =>
    capabilities('custom_plugins', {
      name: 'p',
      schema: "return { name = 'p', fields = { { config = { type = 'record', fields = {} } } } }",
      handler: `local P = { VERSION = '1.0.0', PRIORITY = 1 } ${handler} return P`,
    });
  expect(plugin('function P:access() end -- no certificate')).toEqual([]);
  expect(plugin('function P:certificate() end')).toEqual(['tls_handshake']);
  expect(plugin('this certificate does not load')).toEqual([]);
});
