import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DNS_ORDER, isAddress, type Lookup, resolveName } from '../../../edge-dp/balancer/name-resolution.ts';
import { NameTable } from '../../../edge-dp/balancer/name-table.ts';
import { remembers, type Spread, spreadOf } from '../../../edge-dp/balancer/spread.ts';
import { readTarget, readUpstream } from '../../../edge-dp/balancer/upstream.ts';
import type { DnsAnswer, DnsRecord } from '../../../edge-dp/proxy/egress/protocol.ts';

type Zone = Record<string, readonly DnsRecord[] | 'failed'>;
const a = (address: string, ttl = 30): DnsRecord => ({ address, ttl });
const srv = (address: string, port: number, weight: number, priority = 1): DnsRecord => ({
  ...a(address),
  port,
  weight,
  priority,
});

/** Answers from a zone of `type name`, and remembers what it was asked. */
function zoneLookup(zone: Zone, { system = false } = {}): Lookup & { readonly asked: string[] } {
  const asked: string[] = [];
  const lookup = async (name: string, type: string): Promise<DnsAnswer> => {
    asked.push(`${type} ${name}`);
    const records = zone[`${type} ${name}`];
    if (records === undefined) return { status: 'not_found', message: 'no such name', retry: 30 };
    if (records === 'failed') return { status: 'failed', message: 'server failure', retry: 30 };
    return { status: 'ok', records, system };
  };
  return Object.assign(lookup, { asked });
}

describe('what a name leads to', () => {
  it('asks for the last type that led anywhere, then SRV, A, AAAA', async () => {
    const lookup = zoneLookup({ 'AAAA six.test': [a('::1')] });
    expect(await resolveName('six.test', lookup, null)).toMatchObject({ type: 'AAAA', addresses: [{ ip: '::1' }] });
    await resolveName('six.test', lookup, 'AAAA');
    expect(lookup.asked).toEqual(['SRV six.test', 'A six.test', 'AAAA six.test', 'AAAA six.test']);
  });

  it('asks for the types it is told to, in that order, also for the targets of SRV records', async () => {
    const zone: Zone = { 'A n.test': [a('10.0.0.1')], 'AAAA n.test': [a('::1')], 'SRV n.test': [srv('n.test', 1, 1)] };
    const lookup = zoneLookup(zone);
    expect(await resolveName('n.test', lookup, 'SRV', ['A'])).toMatchObject({ type: 'A' });
    expect(await resolveName('n.test', lookup, 'A', ['AAAA', 'LAST'])).toMatchObject({ type: 'AAAA' });
    expect(await resolveName('n.test', lookup, null, ['LAST', 'SRV', 'AAAA', 'A'])).toMatchObject({
      type: 'SRV',
      addresses: [{ ip: '::1' }],
    });
    expect(await resolveName('n.test', zoneLookup({ 'AAAA n.test': [a('::1')] }), null, ['SRV', 'A'])).toMatchObject({
      status: 'failed',
    });
    expect(lookup.asked).toEqual(['A n.test', 'AAAA n.test', 'SRV n.test', 'AAAA n.test']);
  });

  it('takes the best priority of SRV records, a weight of 0 as 1, and an address for each target', async () => {
    const lookup = zoneLookup({
      'SRV s.test': [srv('x.test', 81, 0), srv('y.test', 82, 5), srv('z.test', 83, 7, 2), srv('.', 0, 1)],
      'A x.test': [a('10.0.0.1', 5)],
      'AAAA y.test': [a('fd00::1')],
    });
    expect(await resolveName('s.test', lookup, null)).toEqual({
      status: 'resolved',
      type: 'SRV',
      ttl: 5,
      system: false,
      addresses: [
        { ip: '10.0.0.1', srv: { name: 'x.test', port: 81, weight: 1 } },
        { ip: 'fd00::1', srv: { name: 'y.test', port: 82, weight: 5 } },
      ],
    });
  });

  it('does not follow a name to other records while the server of those it had is in trouble', async () => {
    const zone: Zone = { 'SRV s.test': 'failed', 'A s.test': [a('10.0.0.9')] };
    expect(await resolveName('s.test', zoneLookup(zone), 'SRV')).toMatchObject({ status: 'failed' });
    expect(await resolveName('s.test', zoneLookup(zone), null)).toMatchObject({ status: 'resolved', type: 'A' });
  });

  it('looks the same however the server orders and repeats its records', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.ipV4(), { minLength: 1, maxLength: 6 }), fc.nat(), async (ips, turn) => {
        const rotated = [...ips.slice(turn % ips.length), ...ips.slice(0, turn % ips.length), ...ips];
        const of = (list: readonly string[]) =>
          resolveName('r.test', zoneLookup({ 'A r.test': list.map((ip) => a(ip)) }), null);
        const found = await of(ips);
        expect(await of(rotated)).toEqual(found);
        expect(found.status === 'resolved' && found.addresses.length).toBe(new Set(ips).size);
      }),
    ));

  it('tells addresses from names', () => {
    expect(['10.0.0.1', '::1', '[fd00::1]', 'a.test', '1.test', 'localhost'].map(isAddress)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

describe('the names of an isolate', () => {
  const upstream = readUpstream({ id: 'u', name: 'u' });
  const target = readTarget({ id: 't', upstream: { id: 'u' }, target: 'n.test:80', weight: 10 });

  it('asks again when the TTL has run out, after 60 s for a TTL of 0, and after 30 s where nothing was found', async () => {
    const cases: [Zone, number][] = [
      [{ 'A n.test': [a('10.0.0.1', 7)] }, 7_000],
      [{ 'A n.test': [a('10.0.0.1', 0)] }, 60_000],
      [{}, 30_000],
      [{ 'A n.test': 'failed' }, 30_000],
    ];
    for (const [zone, due] of cases) {
      let now = 1_000_000;
      const lookup = zoneLookup(zone);
      const table = new NameTable(lookup, DNS_ORDER, () => now);
      expect(await table.refresh(['n.test'])).toBe(now + due);
      const { length } = lookup.asked;
      now += due - 1;
      await table.refresh(['n.test']);
      expect(lookup.asked.length).toBe(length);
      now += 1;
      await table.refresh(['n.test']);
      expect(lookup.asked.length).toBeGreaterThan(length);
    }
  });

  it('asks again, too, when the clock was set back since', async () => {
    let now = 86_400_000;
    const lookup = zoneLookup({ 'A n.test': [a('10.0.0.1', 30)] });
    const table = new NameTable(lookup, DNS_ORDER, () => now);
    await table.refresh(['n.test']);
    const { length } = lookup.asked;
    now = 0;
    expect(await table.refresh(['n.test'])).toBe(30_000);
    expect(lookup.asked.length).toBeGreaterThan(length);
  });

  it('lets requests wait for the first answer only, and refreshes behind their backs after that', async () => {
    let now = 0;
    const zone: Zone = { 'A n.test': [a('10.0.0.1', 5)] };
    const table = new NameTable(zoneLookup(zone), DNS_ORDER, () => now);
    const background: Promise<unknown>[] = [];
    const use = () => table.use(['n.test'], (work) => background.push(work));
    await use();
    expect(table.get('n.test')?.addresses).toEqual([{ ip: '10.0.0.1', srv: null }]);
    expect([use(), background.length]).toEqual([null, 1]);
    now = 5_000;
    zone['A n.test'] = [a('10.0.0.2', 5)];
    expect([use(), background.length]).toEqual([null, 2]);
    await Promise.all(background);
    expect(table.get('n.test')?.addresses).toEqual([{ ip: '10.0.0.2', srv: null }]);
    // Unused for long: what is known may be anything by now.
    now = 60_000;
    expect(use()).not.toBeNull();
  });

  it('keeps the last good addresses, and what was learned of those that come back', async () => {
    let now = Date.now();
    const zone: Zone = { 'A n.test': [a('10.0.0.1'), a('10.0.0.2')] };
    const table = new NameTable(zoneLookup(zone), DNS_ORDER, () => now);
    let spread: Spread | null = null;
    const refreshed = async () => {
      now += 60_000;
      await table.refresh(['n.test']);
      spread = spreadOf(upstream, [target], table, spread, now);
      return spread.addresses;
    };
    const ips = async () => (await refreshed()).map(({ ip }) => ip);
    expect(await ips()).toEqual(['10.0.0.1', '10.0.0.2']);
    (await refreshed())[1]?.state.health.set(false);
    zone['A n.test'] = [a('10.0.0.1')];
    expect(await ips()).toEqual(['10.0.0.1']);
    delete zone['A n.test'];
    expect(await ips()).toEqual(['10.0.0.1']);
    zone['A n.test'] = [a('10.0.0.1'), a('10.0.0.2')];
    expect((await refreshed()).map(({ state }) => state.health.available)).toEqual([true, false]);
    const gone = 'n.test/10.0.0.2:80';
    zone['A n.test'] = [a('10.0.0.1')];
    await refreshed();
    expect([299_999, 300_000].map((later) => spread !== null && remembers(spread, gone, now + later))).toEqual([
      true,
      false,
    ]);
  });

  it("leaves a name with one address to the runtime's own fetch where both ask the same resolver", async () => {
    const hosts = async (system: boolean, ips: string[]) => {
      const table = new NameTable(zoneLookup({ 'A n.test': ips.map((ip) => a(ip)) }, { system }));
      await table.refresh(['n.test']);
      return spreadOf(upstream, [target], table, null, 0).addresses.map(({ host, hostname }) => [host, hostname]);
    };
    expect(await hosts(true, ['10.0.0.1'])).toEqual([['n.test', 'n.test']]);
    expect(await hosts(false, ['10.0.0.1'])).toEqual([['10.0.0.1', 'n.test']]);
    expect(await hosts(true, ['10.0.0.1', '10.0.0.2'])).toEqual([
      ['10.0.0.1', 'n.test'],
      ['10.0.0.2', 'n.test'],
    ]);
  });
});
