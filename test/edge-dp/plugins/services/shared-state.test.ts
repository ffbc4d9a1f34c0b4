import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hosts } from '../../hosts.ts';
import { id, type ProxyNode, startProxyNode } from '../../proxy/node.ts';

const SHARING_WORKER = fileURLToPath(new URL('./workers/sharing.ts', import.meta.url));

describe.each(hosts)('what isolates of a node share, on %s', (name, start) => {
  let node: ProxyNode;

  beforeAll(async () => {
    node = await startProxyNode(
      {
        routes: [{ id: id(1), paths: ['/'], protocols: ['http'] }],
        plugins: [{ id: id(2), name: 'sharing', protocols: ['http'], config: {} }],
      },
      { start, entry: SHARING_WORKER, processes: name === 'Miniflare' ? 1 : 3 },
    );
  });
  afterAll(() => node?.stop());

  // A connection each, so that every process gets some.
  const send = (path: string) => fetch(`${node.url}${path}`, { headers: { connection: 'close' } });

  it('is asked by every process', async () => {
    const statuses = async () =>
      new Set((await Promise.all(Array.from({ length: 9 }, () => send('/get/none')))).map(({ status }) => status));
    await expect.poll(statuses, { message: 'all processes to have the config' }).toEqual(new Set([200]));
  });

  it.each([7, 300])('lets %i requests through, whichever process they reach, and no more', async (limit) => {
    const statuses: number[] = [];
    while (statuses.length < limit + 60) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => send(`/take/limit-${limit}/${limit}`)));
      for (const answer of answers) statuses.push(answer.status);
    }
    const allowed = statuses.filter((status) => status === 200).length;
    expect(allowed).toBeLessThanOrEqual(limit);
    // What another process has leased and not spent is missing, a twentieth at most.
    expect(allowed).toBeGreaterThanOrEqual(Math.floor(limit * 0.95));
    if (limit <= 100) expect(allowed).toBe(limit);
  });

  it('shows every process the records of all, and gives a key to one only', async () => {
    expect((await send('/put/a/text')).status).toBe(204);
    for (let i = 0; i < 6; i++) expect(await (await send('/get/a')).json()).toEqual({ text: 'text' });
    expect(await (await send('/get/none')).json()).toBeNull();
    const once = await Promise.all(Array.from({ length: 12 }, () => send('/once/key')));
    expect(once.filter(({ status }) => status === 201)).toHaveLength(1);
  });
});
