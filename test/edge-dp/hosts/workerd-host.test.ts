import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { workerdEnvironment } from '../../../edge-dp/hosts/workerd/workerd-run.ts';
import { authority } from '../../cp/pki/authority.ts';
import { freePorts } from '../../free-port.ts';
import { commandOf, descendants, runs } from '../../proc.ts';
import { until } from '../../until.ts';
import { ask, newPrefix, optionsFor, startNode, stopNode, type TestNode } from './node.ts';

let node: TestNode | undefined;

afterEach(async () => {
  await stopNode(node);
  node = undefined;
});

/** Processes that a process has started itself. */
function children(pid: number): number[] {
  const below = descendants(pid);
  return below.filter((child) => !below.some((other) => descendants(other).includes(child)));
}

/** Clients that each ask on one new connection after the other; what went wrong, and who answered. */
function load(url: string, clients: number) {
  let going = true;
  const isolates = new Map<string, number>();
  const failures: string[] = [];
  const client = async () => {
    while (going) {
      try {
        const { isolate } = JSON.parse((await ask(url)).text);
        isolates.set(isolate, (isolates.get(isolate) ?? 0) + 1);
      } catch (error) {
        failures.push(error instanceof Error && 'code' in error ? String(error.code) : String(error));
      }
    }
  };
  const running = Array.from({ length: clients }, client);
  return {
    isolates,
    failures,
    async stop() {
      going = false;
      await Promise.all(running);
    },
  };
}

describe('processes on one socket', () => {
  test('a killed one takes only its own requests with it, and is started again', async () => {
    node = await startNode({ processes: 2 });
    const { dataPlane, url, log } = node;
    const traffic = load(url, 4);
    await until(() => traffic.isolates.size === 2);

    const killed = dataPlane.pids()[1];
    process.kill(Number(killed), 'SIGKILL');
    await until(() => traffic.isolates.size === 3);
    await traffic.stop();
    // What watches a process is waited for by its supervisor, and stays nobody's zombie.
    const [supervisor = 0] = descendants(process.pid).filter((pid) => commandOf(pid).includes('supervisor.ts'));
    await expect.poll(() => children(supervisor).filter((pid) => commandOf(pid).includes('kill -KILL')).length).toBe(2);

    expect(traffic.failures.length).toBeLessThanOrEqual(4);
    expect(traffic.failures.filter((code) => code !== 'ECONNRESET')).toEqual([]);
    expect(dataPlane.pids()).toHaveLength(2);
    expect(dataPlane.pids()).not.toContain(killed);
    await expect
      .poll(() => log.join('\n'))
      .toMatch(/error workerd process 2 ended: signal SIGKILL[\s\S]*starting it again in 100 ms/);
  });

  test.each([1, 2])('a reload replaces all of %i without a failed connection', async (processes) => {
    node = await startNode({ processes });
    const { dataPlane, url } = node;
    const traffic = load(url, 4);
    await until(() => traffic.isolates.size === processes);

    const before = dataPlane.pids();
    await dataPlane.reload();
    await dataPlane.reload();
    await traffic.stop();

    expect(traffic.failures).toEqual([]);
    expect(dataPlane.pids().filter((pid) => before.includes(pid))).toEqual([]);
    expect(before.filter(runs)).toEqual([]);
  });

  test("the allocator may have its caches by core, beside the operator's own tunables of the C library", async () => {
    node = await startNode({ processes: 1 });
    const [pid] = node.dataPlane.pids();
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    expect(environment).toContain('GLIBC_TUNABLES=glibc.pthread.rseq=0');
    expect(environment.filter((each) => each.startsWith('PATH='))).toHaveLength(1);

    const tunables = (own: string) => workerdEnvironment({ GLIBC_TUNABLES: own }).GLIBC_TUNABLES;
    expect(tunables('glibc.malloc.check=3')).toBe('glibc.malloc.check=3:glibc.pthread.rseq=0');
    expect(tunables('glibc.pthread.rseq=1')).toBe('glibc.pthread.rseq=1');
  });

  test('one owner of the node, the same for every process and kept over restarts', async () => {
    node = await startNode({ processes: 2 });
    const asked = await Promise.all(
      Array.from({ length: 8 }, async () => JSON.parse((await ask(`${node?.url}/node`)).text)),
    );
    expect(new Set(asked.map(({ isolate }) => isolate)).size).toBe(1);
    expect(asked.map(({ seen }) => seen).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);

    await node.dataPlane.stop();
    node = await startNode({ prefix: node.prefix, processes: 2 });
    expect(JSON.parse((await ask(`${node.url}/node`)).text).seen).toBe(9);
  });

  test('a process that cannot start is an error with its own words, and leaves nothing behind', async () => {
    const prefix = newPrefix();
    const broken = { cert: 'no certificate', key: 'no key' };
    const started = startNode({ prefix, proxyListen: [{ host: '127.0.0.1', port: 0, tls: broken }] });
    await expect(started).rejects.toThrow(/workerd ended at its start[\s\S]*PEM/i);
    expect(readdirSync(prefix)).not.toContain('data-plane.lock');
    rmSync(join(prefix, '..'), { recursive: true });
  });
});

test('a fault that nothing catches, of the supervisor or of the egress process, is told and ends neither', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast faults '));
  const faulty = join(folder, 'faulty.mjs');
  writeFileSync(
    faulty,
    "process.on('SIGUSR2', () => { setTimeout(() => { throw new Error('of a timer'); }); void Promise.reject(new Error('of a promise')); });",
  );
  const { NODE_OPTIONS: before = '' } = process.env;
  process.env.NODE_OPTIONS = `${before} --import=${pathToFileURL(faulty).href}`;
  try {
    node = await startNode();
  } finally {
    process.env.NODE_OPTIONS = before;
  }
  const { log, url } = node;
  const files = ['supervision/supervisor.ts', 'egress/main.ts'];
  const pids = files.map((file) => descendants(process.pid).find((pid) => commandOf(pid).includes(file)) ?? 0);
  for (const pid of pids) {
    const from = log.length;
    process.kill(pid, 'SIGUSR2');
    for (const fault of ['of a timer', 'of a promise'])
      await expect.poll(() => log.slice(from).join('\n')).toContain(fault);
  }
  expect(pids.map(runs)).toEqual([true, true]);
  expect((await ask(url)).status).toBe(200);
  rmSync(folder, { recursive: true });
});

describe('stopping', () => {
  test('lets a request in flight finish, closes idle connections, and refuses new ones', async () => {
    node = await startNode({ processes: 2 });
    const { dataPlane, url } = node;
    const port = Number(new URL(url).port);
    const idle = connect(port, '127.0.0.1');
    idle.write('GET / HTTP/1.1\r\nHost: idle\r\n\r\n');
    await new Promise((resolve) => idle.once('data', resolve));
    const idleClosed = new Promise((resolve) => idle.once('close', resolve));
    const slow = [1, 2, 3].map(() => ask(`${url}/slow?ms=500`));
    // The slow ones were sent first: they are with a process once each has answered a later one.
    const met = new Set<string>();
    await until(async () => met.add(JSON.parse((await ask(url)).text).isolate).size === 2);

    await dataPlane.stop(5_000);

    expect((await Promise.all(slow)).map(({ text }) => text)).toEqual(Array(3).fill('slow but complete'));
    await idleClosed;
    await expect(ask(url)).rejects.toThrow('ECONNREFUSED');
  });

  test('a host killed with -9 leaves no process behind, and its folder free', async () => {
    const prefix = newPrefix();
    const parent = spawn(process.execPath, [fileURLToPath(new URL('./parent.ts', import.meta.url)), prefix], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const line = await new Promise<string>((resolve) =>
      createInterface({ input: parent.stdout }).once('line', resolve),
    );
    const below = descendants(Number(parent.pid));
    parent.kill('SIGKILL');
    // The supervisor, two workerd, their two watchers, the egress process at least.
    expect(below.length).toBeGreaterThanOrEqual(6);
    expect(below).toEqual(expect.arrayContaining(JSON.parse(line).pids));
    await until(() => !below.some(runs));

    node = await startNode({ prefix, proxyListen: [{ host: '127.0.0.1', port: JSON.parse(line).address.port }] });
    expect((await ask(node.url)).status).toBe(200);
  });

  test('a killed supervisor takes its processes with it, and nobody is refused until all are back', async () => {
    node = await startNode({ processes: 2 });
    const { dataPlane, url, log } = node;
    for (let time = 0; time < 2; time += 1) {
      const before = dataPlane.pids();
      const [supervisor] = descendants(process.pid).filter((pid) => commandOf(pid).includes('supervisor.ts'));
      process.kill(Number(supervisor), 'SIGKILL');
      await until(() => !before.some(runs));
      // Nobody is there to accept: it waits in the kernel's queue.
      expect((await ask(url)).status).toBe(200);
      await until(() => dataPlane.pids().filter((pid) => !before.includes(pid)).length === 2);
    }
    await expect.poll(() => log.join('\n')).toContain('the supervisor process ended: signal SIGKILL');
    await dataPlane.stop(0);
    await expect(ask(url)).rejects.toThrow('ECONNREFUSED');
  });
});

describe('listeners', () => {
  test('tell the Worker the client, the scheme and the port, also over TLS', async () => {
    const ca = await authority('listeners');
    const { cert, key } = await ca.leaf({ name: 'localhost' });
    node = await startNode({
      proxyListen: [
        { host: '127.0.0.1', port: 0, tls: { cert, key } },
        { host: '127.0.0.1', port: 0 },
        { host: '127.0.0.1', port: 0 },
      ],
      statusListen: [{ host: 'localhost', port: 0 }],
    });
    const [secure, plain, other] = node.dataPlane.proxyAddresses.map(({ port }) => port);
    const [status] = node.dataPlane.statusAddresses.map(({ host, port }) => `http://${host}:${port}/`);

    const text = await new Promise<string>((resolve, reject) => {
      const options = { port: secure, host: '127.0.0.1', servername: 'localhost', ca: ca.pem, agent: false };
      const request = httpsRequest(options, (response) => {
        response.once('data', (chunk: Buffer) => resolve(chunk.toString()));
      });
      request.on('error', reject).end();
    });
    const seen = JSON.parse(text);
    // The only one of its kind is known by the scheme.
    expect(seen.props).toEqual({});
    expect(seen.url).toBe(`https://127.0.0.1:${secure}/`);
    expect(seen.cf.clientIp).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(seen.settings.proxy.ports).toEqual({ http: plain, https: secure });
    for (const port of [plain, other]) {
      const { props } = JSON.parse((await ask(`http://127.0.0.1:${port}/`)).text);
      expect(props).toEqual({ listener: { scheme: 'http', port, loopback: true } });
    }
    expect(JSON.parse((await ask(String(status))).text)).toMatchObject({ status: 'ok' });
  });

  test('a reload takes a new certificate, on the same port', async () => {
    const ca = await authority('renewal');
    const [first, second] = await Promise.all([ca.leaf({ name: 'first.test' }), ca.leaf({ name: 'second.test' })]);
    const listenWith = ({ cert, key }: { cert: string; key: string }) => ({
      proxyListen: [{ host: '127.0.0.1', port: 0, tls: { cert, key } }],
    });
    node = await startNode(listenWith(first));
    const { dataPlane, prefix } = node;
    const port = Number(dataPlane.proxyAddresses[0]?.port);
    expect(await shownCertificate(port)).toBe('first.test');
    await dataPlane.reload(optionsFor(prefix, listenWith(second)));
    expect(await shownCertificate(port)).toBe('second.test');
    await expect(dataPlane.reload(optionsFor(prefix, { ...listenWith(second), processes: 2 }))).rejects.toThrow(
      /restart/,
    );
    // One that cannot be used changes nothing, and leaves nothing behind.
    const broken = listenWith({ cert: 'no certificate', key: 'no key' });
    for (let time = 0; time < 2; time += 1)
      await expect(dataPlane.reload(optionsFor(prefix, broken))).rejects.toThrow(/PEM/i);
    expect(await shownCertificate(port)).toBe('second.test');
    expect(readdirSync(join(prefix, 'run')).filter((name) => name.startsWith('config-'))).toHaveLength(1);
  });

  test('take the same port of IPv4 and of IPv6 side by side, as nginx does', async () => {
    const [port = 0] = await freePorts(1);
    node = await startNode({
      proxyListen: [
        { host: '0.0.0.0', port },
        { host: '::', port },
      ],
    });
    for (const host of ['127.0.0.1', '[::1]']) expect((await ask(`http://${host}:${port}/`)).status).toBe(200);
  });

  test('a port in use is an error that names the setting and who has it', async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, '127.0.0.1', () => resolve(Number(Reflect.get(Object(other.address()), 'port'))));
    });
    const started = startNode({ proxyListen: [{ host: '127.0.0.1', port }] });
    await expect(started).rejects.toThrow(
      new RegExp(`^proxy_listen: cannot listen on 127.0.0.1:${port}: the port is in use by .*process ${process.pid};`),
    );
    other.close();
  });
});

describe('the prefix', () => {
  test('holds one node at a time', async () => {
    node = await startNode();
    const { prefix, dataPlane } = node;
    await expect(startNode({ prefix, nodeId: randomUUID() })).rejects.toThrow(
      /a data plane already runs in .*give this one another/,
    );
    // Who is refused changes nothing.
    expect(readFileSync(join(prefix, 'node-id'), 'utf8')).toBe(`${dataPlane.nodeId}\n`);
  });

  test('keeps generated config, with its private keys, to its owner', async () => {
    const { cert, key } = await (await authority('private')).leaf();
    node = await startNode({ proxyListen: [{ host: '127.0.0.1', port: 0, tls: { cert, key } }] });
    const run = join(node.prefix, 'run');
    const entries = readdirSync(run, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(files.some((file) => readFileSync(file, 'utf8').includes('PRIVATE KEY'))).toBe(true);
    const open = [
      run,
      ...entries
        .filter((entry) => entry.isDirectory() || entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name)),
    ];
    expect(open.filter((path) => (statSync(path).mode & 0o077) !== 0)).toEqual([]);
  });
});

test('declarative config is served to the Worker', async () => {
  const manifest = {
    format: 1,
    cluster: 'declarative',
    group: 'default',
    serial: 0,
    issued_at: 0,
    config_hash: '0'.repeat(32),
    tables: {},
    plugins: {},
    keys: [],
  } as const;
  const name = 'a'.repeat(64);
  node = await startNode({ declarative: { manifest, objects: [{ name, gzip: Buffer.from('object') }] } });
  expect(JSON.parse((await ask(`${node.url}/declarative/manifest`)).text)).toEqual(manifest);
  expect((await ask(`${node.url}/declarative/objects/${name}`)).text).toBe('object');
  expect((await ask(`${node.url}/declarative/objects/${'b'.repeat(64)}`)).status).toBe(404);
});

/** The name in the certificate a port shows. */
function shownCertificate(port: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subject.CN);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}
