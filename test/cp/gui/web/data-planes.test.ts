import { describe, expect, it } from 'vitest';
import type { DataPlaneRecord } from '../../../../cp/admin/cluster/cluster-view.ts';
import { filtered, lagOf, rowsOf, sorted, stateOf } from '../../../../cp/gui/web/data-planes/state.ts';
import { mattersOf } from '../../../../cp/gui/web/overview/attention.ts';
import { plain } from '../../../../cp/gui/web/parts/plain.ts';
import { ago } from '../../../../cp/gui/web/parts/time.ts';

const NOW = 1_800_000_000;

function node(id: string, changes: Partial<DataPlaneRecord> = {}): DataPlaneRecord {
  return {
    id,
    hostname: id,
    ip: '10.0.0.1',
    version: '0.1.0',
    config_hash: 'a'.repeat(32),
    sync_status: 'normal',
    last_seen: NOW,
    updated_at: NOW,
    ttl: 1000,
    labels: null,
    cert_details: { expiry_timestamp: NOW + 365 * 86_400 },
    rpc_capabilities: [],
    state: 'connected',
    serial: 7,
    group: 'default',
    rejection_reason: null,
    refused_claim: null,
    ...changes,
  };
}

const GROUPS = [
  { name: 'default', trouble: null, serial: 7, config_hash: null },
  { name: 'eu', trouble: null, serial: 12, config_hash: null },
];

describe('a data plane', () => {
  it.each([
    ['live', {}, 7],
    ['live', { serial: 9 }, 7],
    ['late', { serial: 5 }, 7],
    ['late', { serial: null }, 7],
    ['empty', { serial: null }, null],
    ['refused', { rejection_reason: 'no plugin' }, 7],
    ['refused', { sync_status: 'plugin_set_incompatible' }, 7],
    ['gone', { state: 'disconnected', rejection_reason: 'no plugin' }, 7],
  ] as const)('is %s with %j when the newest serial is %s', (state, changes, newest) => {
    expect(stateOf(node('a', changes), newest)).toBe(state);
  });

  it('is measured by the serial of its own group', () => {
    const rows = rowsOf([node('a'), node('b', { group: 'eu' }), node('c', { group: 'lost' })], GROUPS);
    expect(rows.map(({ state, lag }) => [state, lag])).toEqual([
      ['live', 0],
      ['late', 5],
      ['live', null],
    ]);
    expect(lagOf({ serial: null }, 4)).toBeNull();
  });

  it('is found by words that all fit, and by labels as a whole', () => {
    const rows = rowsOf(
      [
        node('fra-1', { labels: { region: 'eu', tier: 'edge' } }),
        node('fra-2', { labels: { region: 'eu-central' }, serial: 3 }),
        node('iad-1', { ip: '10.9.0.4' }),
      ],
      GROUPS,
    );
    const found = (words: string, state: Parameters<typeof filtered>[2] = null) =>
      filtered(rows, words, state).map((row) => row.node.id);
    expect(found('fra')).toEqual(['fra-1', 'fra-2']);
    expect(found('REGION=eu')).toEqual(['fra-1']);
    expect(found('region= fra')).toEqual(['fra-1', 'fra-2']);
    expect(found('10.9')).toEqual(['iad-1']);
    expect(found('', 'late')).toEqual(['fra-2']);
    expect(found('fra nothing')).toEqual([]);
  });

  it('is sorted by what needs somebody first, by numbers as numbers, and always the same way', () => {
    const rows = rowsOf(
      [node('n10'), node('n9'), node('x', { serial: 2 }), node('y', { rejection_reason: 'r' })],
      GROUPS,
    );
    expect(sorted(rows, 'state', false).map((row) => row.node.id)).toEqual(['y', 'x', 'n9', 'n10']);
    expect(sorted(rows, 'hostname', true).map((row) => row.node.id)).toEqual(['y', 'x', 'n10', 'n9']);
  });
});

describe('what needs attention', () => {
  it('is nothing when all is well', () => {
    const status = { database: { reachable: true }, data_planes: { connected: 2, withheld: 0, unpublished: null } };
    expect(mattersOf([node('a'), node('b')], GROUPS, status, NOW)).toEqual([]);
  });

  it('is each cause once, with all data planes it is about, the urgent first', () => {
    const matters = mattersOf(
      [
        node('old', { cert_details: { expiry_timestamp: NOW + 9 * 86_400 } }),
        node('a', { rejection_reason: 'no plugin' }),
        node('b', { rejection_reason: 'no plugin' }),
        node('c', { group: 'eu', rejection_reason: 'the selection does not hold together' }),
        node('d', { refused_claim: { at: NOW - 60, ip: '10.6.6.6' } }),
      ],
      [{ name: 'eu', trouble: 'the selection does not hold together', serial: 3, config_hash: null }],
      {
        database: { reachable: false },
        data_planes: { connected: 2, withheld: 3, unpublished: 'the selection does not hold together' },
      },
      NOW,
    );
    expect(matters.map(({ key, urgent, nodes }) => [key, urgent, nodes.map(({ id }) => id)])).toEqual([
      ['database', true, []],
      ['group eu', true, []],
      ['reason no plugin', true, ['a', 'b']],
      ['claim d', false, ['d']],
      ['certificates', false, ['old']],
    ]);
  });

  it('is what is over and what will be, each kind by itself and by name', () => {
    const row = (entity: string, days: number, workspace: string | null = 'default') => ({
      entity,
      id: `${entity} ${days}`,
      name: 'a.test',
      workspace,
      expires_at: NOW + days * 86_400,
    });
    const expirations = [
      row('certificates', -1),
      row('keyauth_credentials', 1, 'team'),
      row('certificates', 9),
      row('certificates', 20),
    ];
    const matters = mattersOf([], [], undefined, NOW, expirations);
    expect(matters.map(({ urgent, title, rows }) => [urgent, title, rows?.map(({ name }) => name)])).toEqual([
      [true, 'A certificate has expired', ['a.test']],
      [true, 'An API key expires soon', ['a.test in workspace team']],
      [false, '2 certificates expire soon', ['a.test', 'a.test']],
    ]);
  });
});

describe('a text of somebody else', () => {
  it('says what is in it, in one line, as long as it may be', () => {
    expect(plain('a\u202eb\u0000\n\ufeff<b>')).toBe('a‹U+202E›b‹U+0000›‹U+000A›‹U+FEFF›<b>');
    expect(plain('x'.repeat(10_000), 5)).toBe('xxxxx… (10,000 characters)');
    expect(plain('Grüße, 世界')).toBe('Grüße, 世界');
  });
});

it('tells times from now', () => {
  expect([ago(NOW, NOW + 2), ago(NOW, NOW + 130), ago(NOW + 3 * 86_400, NOW)]).toEqual([
    'just now',
    '2 minutes ago',
    'in 3 days',
  ]);
});
