import { afterEach, describe, expect, test } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { commandOf, descendants, runs } from '../../proc.ts';
import { type ProxyNode, route, service, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { ask } from './node.ts';

let node: ProxyNode | undefined;
let upstream: Upstream | undefined;

afterEach(async () => {
  await node?.stop();
  await upstream?.stop();
  node = undefined;
  upstream = undefined;
});

async function start(processes: number): Promise<ProxyNode> {
  upstream = await startUpstream(({ line }, socket) => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    if (!line.includes('/slow')) return answer;
    setTimeout(() => socket.write(answer), 600);
    return undefined;
  });
  node = await startProxyNode(
    { services: [service(1, upstream.port)], routes: [route(1, '/', 1)] },
    { start: startNodeHost, processes },
  );
  const { url } = node;
  const everywhere = async (): Promise<boolean> =>
    (await Promise.all(Array.from({ length: 20 }, () => ask(url)))).every(({ status }) => status === 200);
  await expect.poll(everywhere, { message: 'not all processes have the config' }).toBe(true);
  upstream.seen.length = 0;
  return node;
}

/** Clients that each ask on one new connection after the other; gives what went wrong, when it is stopped. */
function load(url: string): { readonly served: () => number; stop(): Promise<readonly string[]> } {
  let going = true;
  let served = 0;
  const failures: string[] = [];
  const client = async (): Promise<void> => {
    while (going) {
      try {
        const { status } = await ask(url);
        if (status === 200) served += 1;
        else failures.push(String(status));
      } catch (error) {
        failures.push(error instanceof Error && 'code' in error ? String(error.code) : String(error));
      }
    }
  };
  const running = Array.from({ length: 4 }, client);
  return {
    served: () => served,
    async stop() {
      going = false;
      await Promise.all(running);
      return failures;
    },
  };
}

describe('processes of the native host', () => {
  test('a reload replaces the only one without a failed connection', async () => {
    const { dataPlane, url } = await start(1);
    const before = dataPlane.pids();
    expect(before).toHaveLength(1);
    const traffic = load(url);
    await expect.poll(traffic.served, { message: 'nothing was served' }).toBeGreaterThan(10);
    await dataPlane.reload();
    const served = traffic.served();
    await expect.poll(traffic.served, { message: 'nothing was served after it' }).toBeGreaterThan(served + 10);
    expect(await traffic.stop(), node?.log.join('\n')).toEqual([]);
    expect(dataPlane.pids().filter((pid) => before.includes(pid))).toEqual([]);
  });

  test('lets a request in flight finish, ends idle connections, and leaves no process behind', async () => {
    const { dataPlane, controlPlane, url, raw } = await start(1);
    // Clients may speak HTTP/2 where a listener says so.
    expect((await controlPlane.heard('hello')).node.capabilities).not.toContain('inbound_http2');
    const pids = [
      ...dataPlane.pids(),
      ...descendants(process.pid).filter((pid) => commandOf(pid).includes('worker.mjs')),
    ];
    const idle = raw('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const slow = ask(`${url}/slow`);
    await expect.poll(() => upstream?.seen.length, { message: 'the requests did not arrive' }).toBe(2);
    const stopped = dataPlane.stop(5_000);
    expect(await slow).toMatchObject({ status: 200, text: 'ok' });
    expect((await idle).closed).toBe(true);
    await stopped;
    await expect(ask(url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(pids.filter((pid) => runs(pid))).toEqual([]);
  });
});
