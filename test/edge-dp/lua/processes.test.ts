import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMiniflareHost } from '../../../edge-dp/hosts/miniflare/host.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { onHosts } from '../hosts.ts';
import { id, type ProxyNode, startProxyNode } from '../proxy/node.ts';

describe.each(
  onHosts([
    ['workerd', startWorkerdHost, ['0 of 2', '1 of 2']],
    ['Miniflare', startMiniflareHost, ['0 of 1']],
    ['node', startNodeHost, ['0 of 2', '1 of 2']],
  ] as const),
)('Lua in the processes of a node on %s', (_, start, workers) => {
  let node: ProxyNode;

  beforeAll(async () => {
    const none = { certificate: [], rewrite: [], header_filter: [], body_filter: [], log: [] };
    const access = ["kong.response.exit(200, ngx.worker.id() .. ' of ' .. ngx.worker.count())"];
    node = await startProxyNode(
      {
        routes: [{ id: id(1), paths: ['/'], protocols: ['http'] }],
        plugins: [{ id: id(2), name: 'pre-function', protocols: ['http'], config: { ...none, access } }],
      },
      { start, processes: workers.length },
    );
  });
  afterAll(() => node?.stop());

  it('knows which of them runs it, also after one was put in the place of another', async () => {
    const heard = new Set<string>();
    // A connection each, so that every process gets some.
    const all = async () => {
      const answer = await fetch(node.url, { headers: { connection: 'close' } });
      if (answer.status === 200) heard.add(await answer.text());
      return [...heard].sort();
    };
    await expect.poll(all).toEqual(workers);
    if (workers.length === 1) return;
    heard.clear();
    process.kill(Number(node.dataPlane.pids()[1]), 'SIGKILL');
    await expect.poll(() => all().catch(() => [])).toEqual(workers);
  });
});
