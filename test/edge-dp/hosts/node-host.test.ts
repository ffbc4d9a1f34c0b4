import { execFileSync } from 'node:child_process';
import { request as httpsRequest } from 'node:https';
import { afterEach, describe, expect, test } from 'vitest';
import { generateListenerCertificate } from '../../../cp/pki/certificate.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { messageOf } from '../../../shared/thrown.ts';
import { commandOf, descendants, runs } from '../../proc.ts';
import type { NodeOverrides } from '../hosts.ts';
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

async function start(processes: number, listeners: NodeOverrides = {}): Promise<ProxyNode> {
  upstream = await startUpstream(({ line }, socket) => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    if (!line.includes('/slow')) return answer;
    setTimeout(() => socket.write(answer), 600);
    return undefined;
  });
  node = await startProxyNode(
    { services: [service(1, upstream.port)], routes: [route(1, '/', 1)] },
    { start: startNodeHost, processes, ...listeners },
  );
  const { port } = node;
  const answer = listeners.proxyListen === undefined ? () => statusOf(port) : () => securedStatusOf(port);
  const everywhere = async (): Promise<boolean> =>
    (await Promise.all(Array.from({ length: 20 }, answer))).every((status) => status === 200);
  await expect.poll(everywhere, { message: 'not all processes have the config' }).toBe(true);
  upstream.seen.length = 0;
  return node;
}

/** The status of an answer on a new connection. */
async function statusOf(port: number): Promise<number> {
  return (await ask(`http://127.0.0.1:${port}/`)).status;
}

/** The same behind a handshake of its own. */
function securedStatusOf(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest({ host: '127.0.0.1', port, agent: false, rejectUnauthorized: false }, (response) => {
      response.resume().once('error', reject);
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    request.once('error', reject).end();
  });
}

/** Clients that each ask on one new connection after the other; gives what went wrong, when it is stopped. */
function load(statusOfNext: () => Promise<number>): {
  readonly served: () => number;
  stop(): Promise<readonly string[]>;
} {
  let going = true;
  let served = 0;
  const failures: string[] = [];
  const client = async (): Promise<void> => {
    while (going) {
      try {
        const status = await statusOfNext();
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
  test.each([
    ['in clear', null],
    ['over TLS', generateListenerCertificate],
  ])('a reload replaces the only one without a failed connection %s', async (_, certificate) => {
    const tls = await certificate?.();
    const secured = tls === undefined ? {} : { proxyListen: [{ host: '127.0.0.1', port: 0, tls }] };
    const { dataPlane, port } = await start(1, secured);
    const before = dataPlane.pids();
    expect(before).toHaveLength(1);
    const traffic = load(tls === undefined ? () => statusOf(port) : () => securedStatusOf(port));
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
      ...descendants(process.pid).filter((pid) => commandOf(pid).includes('process/begin.ts')),
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

  test('a supervisor that has no handles for a process starts it once it has, and one that was killed answers for a reload', async () => {
    const answers: string[] = [];
    const log: string[] = [];
    const { dataPlane, port } = await start(2, {
      log: (_level, message) => {
        log.push(message);
        // From now on until there is another.
        if (message.startsWith('the supervisor process ended'))
          dataPlane.reload().then(
            () => answers.push('reloaded'),
            (error: unknown) => answers.push(messageOf(error)),
          );
      },
    });
    const supervisor = descendants(process.pid).find((pid) => commandOf(pid).includes('supervisor.ts'));
    const limit = (handles: number) => execFileSync('prlimit', ['--pid', String(supervisor), `--nofile=${handles}:`]);
    const [first, second] = dataPlane.pids();
    limit(3);
    process.kill(Number(second), 'SIGKILL');
    await expect.poll(() => log.join('\n')).toMatch(/node process 2 ended: could not be started: .*EMFILE/);
    expect(await statusOf(port)).toBe(200);
    limit(4096);
    await expect.poll(() => log.join('\n')).toContain('node process 2 is running again');
    expect([first, supervisor].filter((pid) => !runs(Number(pid)))).toEqual([]);

    process.kill(Number(supervisor), 'SIGKILL');
    await expect.poll(() => answers.join()).toMatch(/^the supervisor process ended: signal SIGKILL/);
    await expect.poll(() => dataPlane.pids().length).toBe(2);
    expect(await statusOf(port)).toBe(200);
  });
});
