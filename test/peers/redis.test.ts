import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisClient } from '../../edge-dp/redis/client.ts';
import { id, type ProxyNode, startProxyNode } from '../edge-dp/proxy/node.ts';
import { startUpstream, type Upstream } from '../edge-dp/proxy/upstream.ts';
import { connectPlain } from '../edge-dp/redis/connect.ts';
import { peerExecutable } from './peer.ts';

/** All that the gateway's user needs. */
const RIGHTS = '~ratelimit:* resetchannels -@all +auth +select +mget +get +incrby +expire +ttl +eval +evalsha';

describe('rate-limiting in a real Redis', () => {
  let port = 0;
  let redis: ChildProcess;
  let upstream: Upstream;
  let node: ProxyNode;

  const start = () => {
    const user = ['gateway', 'on', '>größe', ...RIGHTS.split(' ')];
    redis = spawn(
      peerExecutable('redis'),
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--user', ...user],
      { stdio: 'ignore' },
    );
  };
  /** As the server's own administrator. */
  const admin = () =>
    new RedisClient(
      { host: '127.0.0.1', port, timeout: 1000, username: null, password: null, database: 5, tls: null },
      connectPlain,
    );

  beforeAll(async () => {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    port = Number(Object(probe.address()).port);
    await new Promise((resolve) => probe.close(resolve));
    start();
    upstream = await startUpstream();
    const limited = (n: number, limit: number, more: object) => ({
      id: id(200 + n),
      name: 'rate-limiting',
      protocols: ['http'],
      route: { id: id(100 + n) },
      config: {
        ...{ second: null, minute: limit, hour: null, day: null, month: null, year: limit },
        ...{ limit_by: 'ip', header_name: null, path: null, policy: 'redis', fault_tolerant: false },
        ...{ hide_client_headers: false, error_code: 429, error_message: 'limit', sync_rate: -1 },
        redis: {
          ...{ host: '127.0.0.1', port, timeout: 1000, username: 'gateway', password: 'größe', database: 5 },
          ...{ ssl: false, ssl_verify: false, server_name: null },
        },
        ...more,
      },
    });
    const route = (n: number) => ({ id: id(100 + n), paths: [`/${n}`], protocols: ['http'], service: { id: id(1) } });
    node = await startProxyNode(
      {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: [1, 2, 3].map(route),
        plugins: [limited(1, 100, {}), limited(2, 1000, {}), limited(3, 50, { sync_rate: 0.1 })],
      },
      { processes: 3 },
    );
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
    redis?.kill();
  });

  const send = (path: string) => fetch(`${node.url}${path}`, { headers: { connection: 'close' } });
  const burst = async (path: string, count: number) => {
    const answers = await Promise.all(Array.from({ length: count }, () => send(path)));
    return answers.filter(({ status }) => status === 200).length;
  };

  it('allows exactly a hundred of a hundred, as a user with no more rights than it needs', async () => {
    await expect.poll(() => burst('/2', 12), { timeout: 60_000, message: 'every process to serve' }).toBe(12);
    let allowed = 0;
    for (let i = 0; i < 10; i++) allowed += await burst('/1', 16);
    expect(allowed).toBe(100);
    const year = Date.UTC(new Date().getUTCFullYear(), 0);
    const key = `ratelimit:${id(101)}:00000000-0000-0000-0000-000000000000:127.0.0.1:${year}:year`;
    expect(await admin().send(['GET', key])).toBe('100');
    expect(await admin().send(['TTL', key])).toBeGreaterThan(86_400);
  });

  it('compares notes where that is wanted', async () => {
    expect(await burst('/3', 30)).toBe(30);
    const year = Date.UTC(new Date().getUTCFullYear(), 0);
    const key = `ratelimit:${id(103)}:00000000-0000-0000-0000-000000000000:127.0.0.1:${year}:year`;
    await expect.poll(() => admin().send(['GET', key]), { timeout: 60_000, message: 'to be told' }).toBe('30');
    await admin().send(['INCRBY', key, '20']);
    await expect.poll(() => burst('/3', 1), { timeout: 60_000, message: 'to hear of others' }).toBe(0);
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['full', () => admin().send(['CONFIG', 'SET', 'maxmemory', '1']), 'OOM command not allowed'],
    ['of another mind about the password', () => renamed('>another'), 'WRONGPASS'],
    ['killed', () => Promise.resolve(redis.kill('SIGKILL')), 'connection refused'],
  ])('fails with words while the server is %s', async (_, change, reason) => {
    await change();
    const failed = async () => ((await send('/2')).status === 500 ? node.log.join('\n') : 'not answered 500');
    await expect.poll(failed, { timeout: 60_000, interval: 200, message: `to fail with ${reason}` }).toContain(reason);
  });

  it('counts again once it is back', async () => {
    start();
    await expect.poll(() => burst('/2', 1), { timeout: 60_000, message: 'it to count again' }).toBe(1);
  });

  async function renamed(password: string): Promise<void> {
    const client = admin();
    await client.send(['CONFIG', 'SET', 'maxmemory', '0']);
    await client.send(['ACL', 'SETUSER', 'gateway', 'resetpass', password]);
    await client.send(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
  }
});
