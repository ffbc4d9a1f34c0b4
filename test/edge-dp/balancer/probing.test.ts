import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authority } from '../../cp/pki/authority.ts';
import { id, type ProxyNode, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
const NAMES = ['well', 'odd', 'mute', 'told', 'verified', 'unverified'] as const;
type Name = (typeof NAMES)[number];

const within = { interval: 100 };

describe('active checks', () => {
  const targets: Upstream[] = [];
  /** What the TLS target was asked by. */
  const asked: { readonly sni: unknown; readonly host: unknown }[] = [];
  let secure: Server;
  let node: ProxyNode;

  beforeAll(async () => {
    for (const answer of [OK, 'HTTP/1.1 200 \u5065\u5eb7\r\nContent-Length: 0\r\n\r\n', undefined, OK])
      targets.push(await startUpstream(() => answer && Buffer.from(answer).toString('latin1')));
    const { cert, key } = await (await authority('nobody knows')).leaf({ name: 'sni.example' });
    secure = createServer({ cert, key }, (request, response) => {
      asked.push({ sni: Reflect.get(request.socket, 'servername'), host: request.headers.host });
      response.end();
    });
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    const tls = { type: 'https', https_sni: 'sni.example' };
    const active: Record<Name, object> = {
      well: {},
      odd: {},
      mute: { timeout: 60 },
      told: { headers: { 'User-Agent': ['probe/1'], host: ['front.example'], 'X-Twice': ['a', 'b'] } },
      verified: { ...tls, https_verify_certificate: true },
      unverified: { ...tls, https_verify_certificate: false },
    };
    const ports = [...targets.map(({ port }) => port), tlsPort(), tlsPort()];
    node = await startProxyNode({
      upstreams: NAMES.map((name, n) => ({
        id: id(n + 1),
        name,
        ...(name !== 'well' && { host_header: `${name}.example` }),
        healthchecks: {
          active: {
            type: 'http',
            timeout: 30,
            http_path: '/health',
            healthy: { interval: 0.1, successes: 1, http_statuses: [200] },
            unhealthy: { interval: 0.1, tcp_failures: 1, timeouts: 1, http_failures: 1, http_statuses: [500] },
            ...active[name],
          },
        },
      })),
      targets: NAMES.map((_, n) => ({
        id: id(n + 11),
        upstream: { id: id(n + 1) },
        target: `127.0.0.1:${ports[n]}`,
        weight: 100,
      })),
    });
  });
  afterAll(async () => {
    await node?.stop();
    for (const target of targets) await target.stop();
    secure?.closeAllConnections();
    secure?.close();
  });

  const tlsPort = () => (secure.address() as AddressInfo).port;
  const seen = (name: Name) => targets[NAMES.indexOf(name)]?.seen ?? [];
  const health = async (name: Name) => {
    const answer = await fetch(`${node.statusUrl}/upstreams/${name}/health`);
    return JSON.parse(await answer.text()).data[0].health;
  };

  it('go on while one target never answers, and another with words nobody can read', async () => {
    await expect.poll(() => seen('mute').length, within).toBe(1);
    await expect.poll(() => seen('odd').length, within).toBeGreaterThan(3);
    const before = seen('well').length;
    await expect.poll(() => seen('well').length, within).toBeGreaterThan(before + 5);
    // No address is probed again before its probe has ended.
    expect(seen('mute')).toHaveLength(1);
    expect(await health('odd')).toBe('HEALTHY');
    expect(await health('well')).toBe('HEALTHY');
  });

  it('send what is configured in the place of their own', async () => {
    await expect.poll(() => seen('told').length, within).toBeGreaterThan(0);
    const [probe] = seen('told');
    expect(probe?.line).toBe('GET /health HTTP/1.1');
    expect(probe?.all('user-agent')).toEqual(['probe/1']);
    expect(probe?.all('host')).toEqual(['front.example']);
    expect(probe?.all('x-twice').join(', ')).toBe('a, b');
    expect(seen('odd')[0]?.all('host')).toEqual([`odd.example:${targets[1]?.port}`]);
    expect(seen('well')[0]?.all('user-agent')).toEqual(['holdfast (well)']);
  });

  it('verify certificates where they are asked to, by the server name that is set', async () => {
    await expect.poll(() => health('verified'), within).toBe('UNHEALTHY');
    await expect.poll(() => asked.length, within).toBeGreaterThan(1);
    expect(await health('unverified')).toBe('HEALTHY');
    expect(new Set(asked.map(({ sni, host }) => `${sni} ${host}`))).toEqual(
      new Set([`sni.example unverified.example:${tlsPort()}`]),
    );
  });
});
