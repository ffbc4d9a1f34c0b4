import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { until } from '../../until.ts';
import { id, type ProxyNode, route, service, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

const STRICT = {
  passive: {
    type: 'http',
    healthy: { successes: 0, http_statuses: [200] },
    unhealthy: { tcp_failures: 1, timeouts: 1, http_failures: 1, http_statuses: [500, 502, 503, 504] },
  },
};

/** Clients of each kind. */
const CLIENTS = 4;

/** Clients that ask one request after the other, half of them on a new connection each time; what went wrong for whom. */
class Load {
  served = 0;
  readonly failures: string[] = [];
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  readonly #running: readonly Promise<void>[];
  #going = true;

  constructor(url: string) {
    const clients = Array.from({ length: CLIENTS });
    this.#running = [
      ...clients.map(() => this.#client(url, this.#agent)),
      ...clients.map(() => this.#client(url, false)),
    ];
  }

  async stop(): Promise<readonly string[]> {
    this.#going = false;
    await Promise.all(this.#running);
    this.#agent.destroy();
    return this.failures;
  }

  /** Waits until each of the clients that keep their connection has one. */
  async connected(): Promise<void> {
    const sockets = () => [this.#agent.sockets, this.#agent.freeSockets].flatMap(Object.values).flat().length;
    await until(() => sockets() === CLIENTS, 'a connection of each client that keeps one');
  }

  /** Waits until so many more were served. */
  async goesOn(count: number): Promise<void> {
    const before = this.served;
    await until(() => this.served >= before + count, `${count} more to be served`);
  }

  async #client(url: string, agent: Agent | false): Promise<void> {
    while (this.#going) {
      const outcome = await ask(url, agent);
      if (outcome === 200) this.served += 1;
      else this.failures.push(`${agent === false ? 'new' : 'kept'} ${outcome}`);
      // Who is refused asks again a little later.
      if (outcome !== 200) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Connections that have served a request. Node's own `reusedSocket` is false for requests that waited for theirs. */
const used = new WeakSet<Socket>();

/** The status, or the system's name of what went wrong. A GET on a connection that was just closed is asked again, as any client does. */
function ask(url: string, agent: Agent | false): Promise<number | string> {
  return new Promise((resolve) => {
    let reused = false;
    const request = httpRequest(url, { agent }, (response) => {
      used.add(response.socket);
      response.on('error', ({ message }) => resolve(message));
      response.on('end', () => resolve(response.statusCode ?? 0)).resume();
    });
    request.on('socket', (socket) => (reused = used.has(socket)));
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (reused && error.code === 'ECONNRESET') void ask(url, agent).then(resolve);
      else resolve(error.code ?? error.message);
    });
    request.end();
  });
}

/** Sets limits of running processes (prlimit(1)). */
function limit(pids: readonly number[], ...limits: readonly string[]): void {
  for (const pid of pids) execFileSync('prlimit', ['--pid', String(pid), ...limits]);
}

describe.each([
  ['workerd', startWorkerdHost],
  ['node', startNodeHost],
])('under load, on %s', (host, start) => {
  let upstream: Upstream;
  let node: ProxyNode;
  let load: Load;
  let changes = 0;

  const tables = () => ({
    // Anything that is taken for the target's fault takes it out.
    upstreams: [{ id: id(90), name: 'strict', healthchecks: STRICT }],
    targets: [{ id: id(91), upstream: { id: id(90) }, target: `127.0.0.1:${upstream.port}`, weight: 100 }],
    services: [service(1, 80, { host: 'strict' })],
    routes: [route(1, '/', 1, { name: `change-${++changes}` })],
  });
  const change = (): Promise<string> =>
    node.controlPlane.publish(Object.fromEntries(Object.entries(tables()).map(([name, rows]) => [name, { rows }])));
  /** None of the processes is one that was started again and does not serve yet: its id is known from the start. */
  const allServe = () => {
    const said = (words: string) => node.log.filter((line) => line.includes(words)).length;
    return until(() => said(' ended: ') === said(' is running again, process '), 'all processes to serve');
  };
  /** The first process has what was published last. */
  const applied = () => node.controlPlane.heard('applied', ({ serial }) => serial === node.controlPlane.serial);

  beforeAll(async () => {
    upstream = await startUpstream();
    node = await startProxyNode(tables(), { start, processes: 2 });
    const everywhere = async () =>
      (await Promise.all(Array.from({ length: 20 }, () => ask(node.url, false)))).every((status) => status === 200);
    await until(everywhere, 'all processes to have the config');
  });
  afterAll(async () => {
    await load?.stop();
    await node?.stop();
    await upstream?.stop();
  });
  beforeEach(async () => {
    await allServe();
    load = new Load(node.url);
    await load.goesOn(20);
  });

  test('changes of config every 200 ms, and a reload among them, lose nothing', async () => {
    const changing = setInterval(() => void change(), 200);
    await load.goesOn(500);
    for (let n = 0; n < 2; n++) {
      await node.dataPlane.reload();
      await load.goesOn(200);
    }
    clearInterval(changing);
    await change();
    await applied();
    const failures = await load.stop();
    // workerd that ends closes connections that have just come, with what was sent on them.
    if (host === 'node') expect(failures).toEqual([]);
    else expect(failures.length).toBeLessThanOrEqual(2 * 2 * CLIENTS);
  });

  test('processes that are killed take their own requests with them alone', async () => {
    for (const killed of node.dataPlane.pids()) {
      process.kill(killed, 'SIGKILL');
      await change();
      await expect.poll(() => node.dataPlane.pids().length === 2 && !node.dataPlane.pids().includes(killed)).toBe(true);
      await load.goesOn(50);
    }
    await applied();
    const failures = await load.stop();
    await expect.poll(() => node.log.join('\n')).toContain(`${host} process 1 ended: signal SIGKILL`);
    // Each client had one request, and there were two processes.
    expect(failures.length).toBeLessThanOrEqual(2 * 2 * CLIENTS);
    expect(failures.join()).not.toContain('ECONNREFUSED');
    await expect
      .poll(async () => (await fetch(`${node.statusUrl}/metrics`)).text(), { timeout: 60_000 })
      .toMatch(/^holdfast_process_restarts_total 2$/m);
  });

  // What stands for a full disk here ends workerd by a signal; Node sees writes fail, as with one.
  test.runIf(host === 'node')(
    'a disk that takes nothing more stops changes, not requests, until it takes them',
    async () => {
      const pids = node.dataPlane.pids();
      await applied();
      limit(pids, '--fsize=0:');
      const from = node.controlPlane.messages.length;
      await change();
      await node.controlPlane.heard('rejected', ({ reason }) => reason.startsWith('cache: '), from);
      await load.goesOn(200);
      expect(node.dataPlane.pids()).toEqual(pids);
      await expect
        .poll(() => node.log.join('\n'))
        .toMatch(
          /error the data plane's storage in .* fails \(disk I\/O error: SQLITE_IOERR\): .*The config in memory serves on/,
        );
      limit(pids, '--fsize=unlimited:');
      await applied();
      expect(await load.stop()).toEqual([]);
    },
  );

  test('without file handles new connections wait or end, and all is served when there are some again', async () => {
    const pids = node.dataPlane.pids();
    await load.connected();
    for (const pid of pids) limit([pid], `--nofile=${readdirSync(`/proc/${pid}/fd`).length + 4}:`);
    const idle = Array.from({ length: 40 }, () => connect(node.port, '127.0.0.1').on('error', () => undefined));
    // workerd ends, and is started again with the limit of its parent; the other process may have served all the while.
    const ended = () => String(node.dataPlane.pids()) !== String(pids);
    await until(() => load.failures.length > 0 || ended(), 'the file handles to run out');
    await load.goesOn(100);
    if (host === 'node') expect(node.dataPlane.pids()).toEqual(pids);
    for (const socket of idle) socket.destroy();
    await until(() => node.dataPlane.pids().length === 2, 'both processes');
    await allServe();
    limit(node.dataPlane.pids(), '--nofile=4096:');
    const lost = load.failures.splice(0);
    // Those who have a connection need no more; towards the upstream one more may be needed, when more ask at the same time than before.
    const unserved = lost.filter((failure) => failure.startsWith('kept') && failure !== 'kept 502');
    if (host === 'node') expect(unserved).toEqual([]);
    await load.stop();
    load = new Load(node.url);
    await load.goesOn(200);
    await change();
    await applied();
    expect(await load.stop()).toEqual([]);
  });
});
