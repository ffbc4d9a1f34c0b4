import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../until.ts';
import { ask, startNode, stopNode, type TestNode } from './node.ts';

let node: TestNode;

beforeAll(async () => {
  // Two processes: most requests reach the KV through the other one's socket.
  node = await startNode({ processes: 2 });
});

afterAll(() => stopNode(node));

const put = (key: string, body: string | Uint8Array, query = '') =>
  ask(`${node.url}/kv/${encodeURIComponent(key)}${query}`, { method: 'PUT', body });
const get = (key: string) => ask(`${node.url}/kv/${encodeURIComponent(key)}`);

describe('the KV service', () => {
  test('gives back what was put, with its metadata, under any key', async () => {
    const key = 'objects/ü ?&#%2F"';
    expect((await put(key, 'grüße', `?metadata=${encodeURIComponent('{"schön":[1]}')}`)).text).toBe('stored');
    const found = await get(key);
    expect(found.text).toBe('grüße');
    expect(decodeURIComponent(String(found.headers['x-metadata']))).toBe('{"schön":[1]}');

    await put(key, '');
    expect(await get(key)).toMatchObject({ status: 200, text: '', headers: { 'x-metadata': 'null' } });

    await ask(`${node.url}/kv/${encodeURIComponent(key)}`, { method: 'DELETE' });
    expect((await get(key)).status).toBe(404);
  });

  test('lists by prefix in byte order, page by page', async () => {
    for (const key of ['page/b', 'page/a', 'page/é', 'page/c', 'pagf', 'pag']) await put(key, 'x', '?metadata=7');
    const list = async (query: string) => JSON.parse((await ask(`${node.url}/kv/?prefix=page/&${query}`)).text);
    const first = await list('limit=3');
    expect(first.keys).toEqual(['page/a', 'page/b', 'page/c'].map((name) => ({ name, metadata: 7 })));
    expect(first.list_complete).toBe(false);
    const second = await list(`limit=3&cursor=${encodeURIComponent(first.cursor)}`);
    expect(second).toMatchObject({ keys: [{ name: 'page/é' }], list_complete: true });
  });

  test('reads many keys at once, null for those that are not there', async () => {
    await put('bulk-1', 'one');
    const read = await ask(`${node.url}/kv/`, { method: 'POST', body: '["bulk-1","bulk-none"]' });
    expect(JSON.parse(read.text)).toEqual({ 'bulk-1': 'one', 'bulk-none': null });
  });

  test('refuses what Workers KV refuses, in its words', async () => {
    expect((await put('k'.repeat(513), 'x')).text).toContain('exceeds key length limit of 512');
    expect((await put('short-lived', 'x', '?ttl=59')).text).toContain('Expiration TTL must be at least 60');
    expect((await put('big-metadata', 'x', `?metadata="${'m'.repeat(1024)}"`)).text).toContain('limit of 1024');
    expect((await put('too-long', new Uint8Array((25 << 20) + 1))).text).toContain('413');
    expect((await get('too-long')).status).toBe(404);
  });

  test('reports an expiration', async () => {
    await put('expires', 'x', '?ttl=3600');
    const { keys } = JSON.parse((await ask(`${node.url}/kv/?prefix=expires`)).text);
    expect(keys[0].expiration).toBeGreaterThan(Date.now() / 1000 + 3500);
  });

  test('keeps a value of many rows, and replaces it whole, over a kill -9', async () => {
    const value = randomBytes(3 << 20)
      .toString('hex')
      .slice(0, 3 << 20);
    await put('large', 'y'.repeat(5 << 20));
    await put('large', value);

    const [first] = node.dataPlane.pids();
    process.kill(Number(first), 'SIGKILL');
    await until(() => node.log.some((line) => line.includes('workerd process 1 is running again')));

    const found = await get('large');
    expect(createHash('sha256').update(found.text).digest('hex')).toBe(
      createHash('sha256').update(value).digest('hex'),
    );
  });
});
