import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNodeHost } from '../../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../../edge-dp/hosts/workerd/host.ts';
import { id, type ProxyNode, startProxyNode } from '../../proxy/node.ts';

const SHARING_WORKER = fileURLToPath(new URL('./workers/sharing.ts', import.meta.url));

describe.each([
  ['workerd', startWorkerdHost],
  ['node', startNodeHost],
] as const)('what plugins have queued, on %s', (_, start) => {
  const collected: string[] = [];
  /** A slow request is being answered. */
  let begun = false;
  const collector = createServer((request, response) => {
    if (request.url === '/begun') {
      begun = true;
      response.end();
      return;
    }
    let text = '';
    request.on('data', (data) => {
      text += data;
    });
    request.on('end', () => {
      collected.push(...JSON.parse(text));
      response.end();
    });
  });
  let node: ProxyNode;

  beforeAll(async () => {
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as AddressInfo;
    node = await startProxyNode(
      {
        routes: [{ id: id(1), paths: ['/'], protocols: ['http'] }],
        plugins: [
          { id: id(2), name: 'sharing', protocols: ['http'], config: { collector: `http://127.0.0.1:${port}/` } },
        ],
      },
      { start, entry: SHARING_WORKER, processes: 2 },
    );
  });
  afterAll(async () => {
    await node?.stop();
    await new Promise((resolve) => collector.close(resolve));
  });

  const send = (path: string) => fetch(`${node.url}${path}`, { headers: { connection: 'close' } });

  it('is sent before the processes that hold it end, what requests in flight add included', async () => {
    const paths: string[] = [];
    const served = async (path: string) => {
      const { status } = await send(path);
      if (status === 200) paths.push(path);
      return status;
    };
    // Every process takes the config at its own moment.
    await expect
      .poll(
        async () => new Set(await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => served(`/get/${key}`)))),
        {
          message: 'all processes to have the config',
        },
      )
      .toEqual(new Set([200]));
    expect(collected).toEqual([]);
    await node.dataPlane.reload();
    await expect
      .poll(() => collected.toSorted(), { message: 'what the processes before the reload had' })
      .toEqual(paths.toSorted());
    // Those that answered may all have been one process.
    const served200 = async (): Promise<Response> => {
      const response = await send('/slow');
      return response.status === 404 ? served200() : response;
    };
    const slow = served200();
    await expect.poll(() => begun, { message: 'the slow request to be under way' }).toBe(true);
    await node.dataPlane.stop(60_000);
    expect((await slow).status).toBe(200);
    expect(collected.sort()).toEqual([...paths, '/slow'].sort());
  });
});
