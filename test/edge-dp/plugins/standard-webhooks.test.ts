import { createHmac } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import standardWebhooks from '../../../edge-dp/plugins/standard-webhooks.ts';
import { GATEWAY_HOSTS, type RunningGateway, startGateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const SECRET = 'Geheimnis – α';
const now = Date.UTC(2024, 1, 29, 12, 0, 0) / 1000;

function signature(payload: string | Buffer, id = 'msg_1', timestamp: string | number = now, secret = SECRET): string {
  return `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.`).update(payload).digest('base64')}`;
}

function webhook(payload: string | Buffer, id = 'msg_1', timestamp: string | number = now) {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signature(payload, id, timestamp),
  };
}

async function status(headers: Readonly<Record<string, string>>, body?: string, tolerance = 300): Promise<number> {
  const hooks = standardWebhooks.compile(
    { secret_v1: SECRET, tolerance_second: tolerance },
    EVERYWHERE,
    fakeServices(),
  );
  const answer = await hooks.access?.(fakeRequest({ method: 'POST', headers, ...(body !== undefined && { body }) }));
  if (answer === undefined) return 200;
  return 'status' in answer ? answer.status : answer.response.status;
}

describe('standard-webhooks', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('takes a timestamp for as long as it is told to, and those of the future', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: now * 1000 });
    for (const [age, tolerance, outcome] of [
      [300, 300, 200],
      [301, 300, 400],
      [0, 0, 200],
      [1, 0, 400],
      [-86_400, 0, 200],
    ] as const) {
      expect(await status(webhook('{}', 'msg_1', now - age), '{}', tolerance), `${age} of ${tolerance}`).toBe(outcome);
    }
    vi.setSystemTime(now * 1000 + 1);
    expect(await status(webhook('{}', 'msg_1', now), '{}', 0)).toBe(400);
  });

  it('refuses what is not signed exactly so', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: now * 1000 });
    const good = webhook('{"a":1}');
    expect(await status(good, '{"a":1}')).toBe(200);
    expect(await status(webhook('ä', 'msg.1.2 – α'), 'ä')).toBe(200);
    const due = good['webhook-signature'];
    const changes: Readonly<Record<string, string>>[] = [
      { 'webhook-id': 'msg_2' },
      { 'webhook-id': '' },
      { 'webhook-timestamp': String(now + 1) },
      ...['', 'now', `${now}.0`, '1.7e9', `+${now}`, `0x${now.toString(16)}`, '-1', '٣'].map((timestamp) => ({
        'webhook-timestamp': timestamp,
        'webhook-signature': signature('{"a":1}', 'msg_1', timestamp),
      })),
      ...['', due.slice(3), due.slice(0, -1), `${due} ${due}`, `v1a,${due.slice(3)}`, due.toLowerCase()].map(
        (text) => ({
          'webhook-signature': text,
        }),
      ),
      { 'webhook-signature': signature('{"a":1}', 'msg_1', now, `${SECRET} `) },
    ];
    for (const change of changes)
      expect(await status({ ...good, ...change }, '{"a":1}'), JSON.stringify(change)).toBe(400);
    expect(await status(good, '{"a":1} ')).toBe(400);
    expect(await status(webhook(''), '')).toBe(400);
    expect(await status(webhook(''))).toBe(400);
  });
});

describe.each(GATEWAY_HOSTS)('standard-webhooks on the wire of %s', (host) => {
  const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  let upstream: Upstream;
  let gateway: RunningGateway;

  beforeAll(async () => {
    upstream = await startUpstream();
    gateway = await startGateway({
      host,
      tables: {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: [{ id: id(101), paths: ['/'], protocols: ['http'], service: { id: id(1) } }],
        plugins: [{ id: id(201), name: 'standard-webhooks', config: { secret_v1: SECRET, tolerance_second: 300 } }],
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const post = async (payload: Buffer, framing: 'length' | 'chunks', more = '') => {
    upstream.seen.length = 0;
    const headers = Object.entries(webhook(payload, 'msg_1', Math.floor(Date.now() / 1000)));
    const head = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const length = framing === 'length' ? `Content-Length: ${payload.length}` : 'Transfer-Encoding: chunked';
    const half = payload.length >> 1;
    const chunk = (bytes: Buffer) => [Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')];
    const body =
      framing === 'length'
        ? [payload]
        : [...chunk(payload.subarray(0, half)), ...chunk(payload.subarray(half)), Buffer.from('0\r\n\r\n')];
    const request = [Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\n${head}${more}${length}\r\n\r\n`), ...body];
    const answer = await gateway.raw(Buffer.concat(request));
    return { status: Number(answer.slice(9, 12)), answer, request: upstream.seen[0] };
  };

  it('verifies bytes as they are sent, and sends them on', async () => {
    const bytes = Buffer.from(Array.from({ length: 600 }, (_, n) => n & 255));
    for (const framing of ['length', 'chunks'] as const) {
      const { status, answer, request } = await post(bytes, framing, 'Content-Encoding: gzip\r\n');
      expect(status, answer).toBe(200);
      expect(request?.body).toContain(bytes.toString('latin1', 0, 300));
    }
  });

  it('says so where a body is too long to be verified, and what the upstream sees of it is nothing', async () => {
    const longest = Buffer.alloc(1 << 20, 'x');
    expect((await post(longest, 'length')).status).toBe(200);
    for (const framing of ['length', 'chunks'] as const) {
      const { status, answer, request } = await post(Buffer.concat([longest, longest]), framing);
      expect(status).toBe(413);
      expect(answer).toContain("A webhook's signature is verified up to 1048576 bytes");
      expect(request).toBeUndefined();
    }
  });

  it('keeps the secret and the reason to itself', async () => {
    const answer = await gateway.raw(
      'POST / HTTP/1.1\r\nHost: a\r\nwebhook-id: 1\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,x\r\nContent-Length: 1\r\n\r\nx',
    );
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toMatch(/\{\n {2}"message":"Bad request",\n {2}"request_id":"[0-9a-f]{32}"\n\}$/);
    expect(gateway.log.join('\n')).not.toContain('Geheimnis');
  });
});
