import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import ipRestriction from '../../../edge-dp/plugins/ip-restriction.ts';
import { type RunningGateway, startGateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const CONFIG = { allow: null, deny: null, status: null, message: null };

/** What a client is answered; null: it may pass. */
async function refusal(config: Partial<Parameters<typeof ipRestriction.compile>[0]>, ip: string) {
  const hooks = ipRestriction.compile({ ...CONFIG, ...config }, EVERYWHERE, fakeServices());
  const answer = await hooks.access?.(fakeRequest({ ip }));
  if (answer === undefined) return null;
  const { status, content } = 'status' in answer ? answer : answer.response;
  return { status, message: /"message":"(.*)"/.exec(String(content))?.[1] };
}

describe('ip-restriction', () => {
  it.each<[string[], string, boolean]>([
    [['10.0.0.0/8'], '10.255.255.255', true],
    [['10.0.0.0/8'], '11.0.0.0', false],
    [['10.1.2.3/8'], '10.9.9.9', true],
    [['10.0.0.0/31', '10.0.0.4/30'], '10.0.0.2', false],
    [['10.0.0.0/31', '10.0.0.4/30'], '10.0.0.7', true],
    [['0.0.0.0/0'], '255.255.255.255', true],
    [['0.0.0.0/0'], '::1', false],
    [['::/0'], '1.2.3.4', false],
    [['::/0'], 'fe80::1', true],
    [['fe80::/10'], 'fe80::1%eth0', true],
    [['fe80::1'], 'fe80::2%eth0', false],
    [['2001:db8::/33'], '2001:db8:7fff:ffff::1', true],
    [['2001:db8::/33'], '2001:db8:8000::1', false],
    [['2001:DB8:0:0::1'], '2001:db8::1', true],
    [['::1'], '0:0:0:0:0:0:0:1', true],
    [['10.0.0.1'], '::ffff:10.0.0.1', true],
    [['10.0.0.1'], '::ffff:0a00:0001', true],
    [['::ffff:10.0.0.0/104'], '10.200.0.1', true],
    [['::ffff:10.0.0.0/104'], '11.0.0.1', false],
    [['::ffff:10.0.0.1'], '10.0.0.1', true],
    [['::ffff:0:0/96'], '1.2.3.4', true],
    [[], '1.2.3.4', false],
  ])('knows that in %j %s is: %s', async (list, ip, there) => {
    expect(await refusal({ deny: list }, ip)).toEqual(
      there ? { status: 403, message: `IP address not allowed: ${ip}` } : null,
    );
    if (list.length > 0) expect((await refusal({ allow: list }, ip)) === null).toBe(there);
  });

  it('refuses who cannot be told, whatever is configured', async () => {
    const message = 'Cannot identify the client IP address, unix domain sockets are not supported.';
    for (const config of [{ deny: ['1.2.3.4'] }, { allow: ['0.0.0.0/0'], status: 410, message: 'gone' }]) {
      expect(await refusal(config, '')).toEqual({ status: 403, message });
    }
  });

  it('finds one among many blocks of one size as among few', async () => {
    const deny = Array.from({ length: 60_000 }, (_, n) => `${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}.0/24`);
    expect(await refusal({ deny }, '1.234.95.200')).toEqual({
      status: 403,
      message: 'IP address not allowed: 1.234.95.200',
    });
    expect(await refusal({ deny }, '1.234.96.1')).toBeNull();
  });
});

describe('ip-restriction behind a proxy', () => {
  const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  let upstream: Upstream;
  let gateway: RunningGateway;

  beforeAll(async () => {
    upstream = await startUpstream();
    const route = (n: number, path: string) => ({
      id: id(100 + n),
      paths: [path],
      protocols: ['http'],
      service: { id: id(1) },
    });
    gateway = await startGateway({
      peer: '10.0.0.1',
      proxy: { trustedIps: ['::ffff:10.0.0.0/104'], realIpHeader: 'X-Forwarded-For' },
      tables: {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: [route(1, '/refused'), route(2, '/gone')],
        plugins: [
          {
            id: id(201),
            name: 'ip-restriction',
            service: { id: id(1) },
            config: { ...CONFIG, deny: ['10.0.0.1', '6.6.6.6'] },
          },
          {
            id: id(202),
            name: 'ip-restriction',
            route: { id: id(102) },
            config: { ...CONFIG, allow: ['10.0.0.1'], status: 410, message: 'Nicht für dich – "weg"' },
          },
        ],
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const get = (path: string, headers = '') =>
    gateway.raw(`GET ${path} HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n${headers}\r\n`);

  it('judges the client that a trusted peer tells of, not the peer', async () => {
    expect(await get('/refused')).toContain('"message":"IP address not allowed: 10.0.0.1"');
    expect(await get('/refused', 'X-Forwarded-For: 7.7.7.7, 6.6.6.6\r\n')).toContain('IP address not allowed: 6.6.6.6');
    expect(await get('/refused', 'X-Forwarded-For: 6.6.6.6, 7.7.7.7\r\n')).toMatch(/^HTTP\/1.1 200 /);
  });

  it('answers with the closest configuration’s own status and message', async () => {
    const answer = await get('/gone', 'X-Forwarded-For: 7.7.7.7\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 410 Gone/);
    expect(Buffer.from(answer, 'latin1').toString()).toContain('"message":"Nicht für dich – \\"weg\\""');
    expect(upstream.seen.every(({ line }) => !line.includes('gone'))).toBe(true);
  });

  it('is a config that a data plane refuses by name where an address is none', async () => {
    const refused = await gateway.configure({
      plugins: [{ id: id(203), name: 'ip-restriction', config: { ...CONFIG, deny: ['10.0.0.300'] } }],
    });
    expect(refused).toContain(id(203));
    expect(refused).toContain("'10.0.0.300' is neither an IP address nor a CIDR block");
    expect(await get('/refused')).toContain('403');
  });
});
