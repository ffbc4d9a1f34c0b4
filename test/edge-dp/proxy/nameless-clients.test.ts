import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { once } from '../../once.ts';
import { type ProxyNode, route, service, startProxyNode } from './node.ts';
import { startUpstream, type Upstream } from './upstream.ts';

describe.each([
  ['on Node', startNodeHost],
  ['on workerd', startWorkerdHost],
])('clients that reset their connection before it is accepted, %s', (_, start) => {
  let upstream: Upstream;
  let node: ProxyNode;
  /** Whom the upstream was told that requests are of. */
  const named: (string | undefined)[] = [];

  beforeAll(async () => {
    upstream = await startUpstream((request) => {
      named.push(request.header('x-real-ip'));
      return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    });
    node = await startProxyNode(
      { services: [service(1, upstream.port)], routes: [route(1, '/', 1, { strip_path: false })] },
      { start, processes: 1 },
    );
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
  });

  it('have no request served in the name of nobody', async () => {
    const pids = node.dataPlane.pids();
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    try {
      for (const number of [1, 2, 3]) {
        const client = connect(node.port, '127.0.0.1');
        await once(client, 'connect');
        client.write(`GET /nameless-${number} HTTP/1.1\r\nHost: a\r\n\r\n`);
        await new Promise((sent) => setTimeout(sent, 20));
        client.resetAndDestroy();
        await once(client, 'close');
      }
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    }
    expect(await (await fetch(`http://127.0.0.1:${node.port}/named`)).text()).toBe('ok');
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((ip) => ip !== '127.0.0.1')).toEqual([]);
  });
});
