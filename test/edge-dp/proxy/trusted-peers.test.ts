import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from './gateway.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const SERVICE = '00000000-0000-4000-8000-000000000001';
const FORWARDED = [
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: shop.example:8443',
  'X-Forwarded-Port: 8443',
  'X-Forwarded-Path: /shop/api/x',
  'X-Forwarded-Prefix: /shop',
  'X-Forwarded-For: 203.0.113.7',
  'X-Real-IP: 203.0.113.7',
  'CF-Connecting-IP: 203.0.113.7',
].join('\r\n');

const nothing = { headers: [], querystring: [], body: [] };

describe.each([
  ['trusted', ['10.0.0.0/8']],
  ['not trusted', ['192.0.2.1']],
] as const)('a peer that is %s', (kind, trustedIps) => {
  const trusted = kind === 'trusted';
  let upstream: Upstream;
  let gateway: RunningGateway;

  beforeAll(async () => {
    upstream = await startUpstream();
    const route = (n: number, path: string, extra: object) => ({
      id: `00000000-0000-4000-8000-00000000001${n}`,
      paths: [path],
      service: { id: SERVICE },
      ...extra,
    });
    gateway = await startGateway({
      peer: '10.1.2.3',
      proxy: { trustedIps },
      tables: {
        services: [{ id: SERVICE, protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: [
          route(1, '/api', { protocols: ['http', 'https'] }),
          route(2, '/moved', { protocols: ['https'], https_redirect_status_code: 308 }),
          route(3, '/upgrade', { protocols: ['https'] }),
          route(4, '/rewritten', { protocols: ['http'] }),
        ],
        plugins: [
          {
            id: '00000000-0000-4000-8000-000000000020',
            name: 'request-transformer',
            route: { id: '00000000-0000-4000-8000-000000000014' },
            config: {
              http_method: null,
              remove: nothing,
              rename: nothing,
              replace: { ...nothing, headers: ['via:set', 'x-forwarded-prefix:/set'], uri: null },
              add: nothing,
              append: nothing,
            },
          },
        ],
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const send = async (target: string, headers: string) => {
    upstream.seen.length = 0;
    const answer = await gateway.raw(`GET ${target} HTTP/1.1\r\nHost: Here.example:8000\r\n${headers}\r\n\r\n`);
    return { answer, status: Number(answer.slice(9, 12)), request: upstream.seen[0] };
  };

  it('is believed about what the client asked for, or is not', async () => {
    const { request } = await send('/api/x?y', FORWARDED);
    const told = ['Proto', 'Host', 'Port', 'Path', 'Prefix', 'For'].map((name) => request?.all(`X-Forwarded-${name}`));
    expect([...told, request?.all('X-Real-IP'), request?.all('CF-Connecting-IP')]).toEqual(
      trusted
        ? [
            ['https'],
            ['shop.example:8443'],
            ['8443'],
            ['/shop/api/x'],
            ['/shop'],
            ['203.0.113.7, 10.1.2.3'],
            ['203.0.113.7'],
            ['203.0.113.7'],
          ]
        : [['http'], ['here.example'], ['8000'], ['/api/x'], ['/api'], ['203.0.113.7, 10.1.2.3'], ['10.1.2.3'], []],
    );
  });

  it('is told of, as it was, whatever plugins make of its Via and prefix', async () => {
    const { request } = await send('/rewritten/x', 'Via: 1.1 client\r\nX-Forwarded-Prefix: /shop');
    expect(request?.all('Via')).toEqual(['1.1 client, 1.1 kong/3.9.3']);
    expect(request?.all('X-Forwarded-Prefix')).toEqual([trusted ? '/shop' : '/rewritten']);
  });

  it('passes for HTTPS by its word, or does not', async () => {
    for (const path of ['/moved/a%20b?c=d', '/upgrade']) {
      const { status, request } = await send(path, 'X-Forwarded-Proto: https');
      expect(status, path).toBe(trusted ? 200 : path === '/upgrade' ? 426 : 308);
      expect(request === undefined, path).toBe(!trusted);
    }
  });

  it('is sent to where it says the client is, or to the host it named itself', async () => {
    const { answer, status } = await send('/moved/a%20b?c=d', 'X-Forwarded-Host: shop.example:8443');
    expect(status).toBe(308);
    const host = trusted ? 'shop.example:8443' : 'here.example';
    expect(answer).toContain(`\r\nLocation: https://${host}/moved/a%20b?c=d\r\n`);
  });
});
