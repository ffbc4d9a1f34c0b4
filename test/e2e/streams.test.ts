import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { faultsOfSpans } from '../edge-dp/plugins/tracing/zipkin-api.ts';
import { freshPrefix } from '../embedded-database.ts';
import { freePorts } from '../free-port.ts';
import { type HoldfastProcess, holdfast, runHoldfast, until } from './processes.ts';

const [admin = 0, gui = 0, proxy = 0, status = 0, cluster = 0, first = 0, second = 0, datagrams = 0, secure = 0] =
  await freePorts(9);
let settings: Record<string, string>;
let gateway: HoldfastProcess;
const servers: (Server | UdpSocket)[] = [];

beforeAll(async () => {
  settings = {
    prefix: await freshPrefix('migrated'),
    admin_listen: `127.0.0.1:${admin}`,
    admin_gui_listen: `127.0.0.1:${gui}`,
    proxy_listen: `127.0.0.1:${proxy}, 127.0.0.1:${secure} ssl`,
    status_listen: `127.0.0.1:${status}`,
    cluster_listen: `127.0.0.1:${cluster}`,
    cluster_telemetry_listen: 'off',
    data_plane_host: 'node',
    router_flavor: 'expressions',
    nginx_worker_processes: '2',
    stream_listen: `127.0.0.1:${first} reuseport backlog=1024, [::]:${second} ipv6only=off, 127.0.0.1:${datagrams} udp`,
  };
  gateway = await holdfast(['start'], settings, tmpdir());
});

afterAll(async () => {
  await gateway?.end('SIGKILL');
  for (const server of servers) server.close();
  rmSync(settings.prefix ?? '', { recursive: true, force: true });
});

const create = async (path: string, body: object): Promise<void> => {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`http://127.0.0.1:${admin}${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  });
  expect(response.status, `${path}: ${await response.text()}`).toBe(201);
};
const read = async (path: string): Promise<unknown> => (await fetch(`http://127.0.0.1:${admin}${path}`)).json();

/** What greets with its name, and then echoes. */
const greeting = async (name: string): Promise<number> => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(name);
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
};

/** The first words of whoever answers at the port; empty: nobody does. */
const greeted = (port: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    socket.once('data', (data) => {
      resolve(String(data));
      socket.destroy();
    });
    socket.once('close', () => resolve(''));
  });

/** Both processes have the config when it is so many times in a row. */
const settled = async (port: number, words: string): Promise<void> => {
  let row = 0;
  await until(async () => {
    row = (await greeted(port)) === words ? row + 1 : 0;
    return row >= 10;
  }, `${words} at port ${port}`);
};

it('shows its listeners, and has no conflict with routes of streams', async () => {
  await create('/services', { name: 'one', url: `tcp://127.0.0.1:${await greeting('one')}` });
  await create('/services/one/routes', { name: 'one', protocols: ['tcp'], expression: `net.dst.port == ${first}` });
  await settled(first, 'one');
  expect(await greeted(second)).toBe('');
  expect(await read('/')).toMatchObject({
    configuration: {
      stream_listen: [`127.0.0.1:${first}`, `[::]:${second} ipv6only=off`, `127.0.0.1:${datagrams} udp`],
      stream_listeners: [{ port: first, udp: false }, {}, { port: datagrams, udp: true, ssl: false }],
    },
  });
  const { data } = Object(await read('/clustering/data-planes'));
  expect(await read(`/clustering/data-planes/${data[0].id}`)).toMatchObject({
    serial: expect.any(Number),
    conflicts: [],
  });
});

it('shows clients that know RSA alone a self-signed certificate that they can take, others the other', async () => {
  const type = (sigalgs?: string): Promise<string | undefined> =>
    new Promise((resolve, reject) => {
      const client = connectTls({
        port: secure,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ...(sigalgs && { sigalgs }),
      });
      client.once('error', reject).once('secureConnect', () => {
        resolve(client.getPeerX509Certificate()?.publicKey.asymmetricKeyType);
        client.destroy();
      });
    });
  expect([await type(), await type('RSA-PSS+SHA256:RSA+SHA256')]).toEqual(['ec', 'rsa']);
});

it('takes a target out by its health, counts sessions for Prometheus and has their spans sent', async () => {
  const spans: Record<string, unknown>[] = [];
  const collector = createHttpServer((request, response) => {
    let text = '';
    request.on('data', (part) => {
      text += part;
    });
    request.on('end', () => {
      spans.push(...JSON.parse(text));
      response.writeHead(202).end();
    });
  });
  servers.push(collector);
  await once(collector.listen(0, '127.0.0.1'), 'listening');
  const [dead = 0] = await freePorts(1);
  const passive = { type: 'tcp', unhealthy: { tcp_failures: 1 } };
  await create('/upstreams', { name: 'pool', healthchecks: { passive } });
  for (const port of [dead, await greeting('two')])
    await create('/upstreams/pool/targets', { target: `127.0.0.1:${port}` });
  await create('/services', { name: 'two', protocol: 'tcp', host: 'pool', port: 1 });
  await create('/services/two/routes', {
    name: 'two',
    protocols: ['tcp'],
    expression: `net.src.ip in 127.0.0.0/8 && net.dst.ip == 127.0.0.1 && net.dst.port == ${second}`,
  });
  const counted = { status_code_metrics: true, upstream_health_metrics: true };
  await create('/plugins', { name: 'prometheus', protocols: ['tcp'], config: counted });
  const { port: collecting } = Object(collector.address());
  await create('/services/two/plugins', {
    name: 'zipkin',
    protocols: ['tcp'],
    config: {
      http_endpoint: `http://127.0.0.1:${collecting}/api/v2/spans`,
      sample_ratio: 1,
      static_tags: [{ name: 'static', value: 'ok' }],
    },
  });
  await settled(second, 'two');
  const health = async (): Promise<string> => JSON.stringify(await read('/upstreams/pool/health'));
  await expect.poll(health).toMatch(`"target":"127.0.0.1:${dead}"`);
  await expect.poll(health).toContain('"UNHEALTHY"');
  const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${status}/metrics`)).text();
  await expect
    .poll(
      async () => {
        await greeted(second);
        return metrics();
      },
      { timeout: 60_000 },
    )
    .toMatch(
      /kong_stream_sessions_total\{service="two",route="two",code="200",source="service",workspace="default"\} \d+/,
    );
  for (const subsystem of ['http', 'stream'])
    expect(await metrics()).toContain(
      `target="127.0.0.1:${dead}",address="127.0.0.1:${dead}",state="unhealthy",subsystem="${subsystem}"} 1`,
    );
  const whole = async (): Promise<unknown> => {
    await greeted(second);
    const last = spans.findLast(({ name }) => name === 'stream');
    const ofTrace = spans.filter(({ traceId }) => traceId === last?.traceId);
    return ofTrace.map(({ name, kind, parentId }) => [name, kind, parentId === last?.id]);
  };
  await expect.poll(whole).toEqual([
    ['stream (balancer try 1)', 'CLIENT', true],
    ['stream (proxy)', 'CLIENT', true],
    ['stream', 'SERVER', false],
  ]);
  expect(faultsOfSpans(spans)).toEqual([]);
  const [request] = spans.filter(({ name }) => name === 'stream');
  expect(request).toMatchObject({ tags: { lc: 'kong', static: 'ok' }, remoteEndpoint: { ipv4: '127.0.0.1' } });
  const [proxied] = spans.filter(({ name }) => name === 'stream (proxy)');
  const tags = { 'kong.service_name': 'two', 'kong.route_name': 'two', 'peer.hostname': 'pool' };
  expect(proxied).toMatchObject({
    tags,
    remoteEndpoint: { serviceName: 'two', ipv4: '127.0.0.1' },
    annotations: [{ value: 'kps' }, { value: 'kpf' }],
  });
});

it('keeps open connections, and refuses none, while its processes are replaced', async () => {
  const open = connect(first, '127.0.0.1');
  let text = '';
  open.on('data', (data) => (text += data));
  await until(() => text === 'one', 'the greeting on a connection that stays');
  let over = false;
  let asked = 0;
  const asking = (async () => {
    while (!over) {
      expect(await greeted(first)).toBe('one');
      asked += 1;
    }
  })();
  // It says more when the first process is gone, and ends before the second has waited for it in vain.
  const talking = setInterval(() => open.write('.'), 50);
  const ended = once(open, 'end');
  setTimeout(() => {
    clearInterval(talking);
    open.end('bye');
  }, 1_000);
  const reloaded = await runHoldfast(['reload'], settings);
  expect(reloaded.output).toContain('reloaded');
  over = true;
  await asking;
  await ended;
  expect(text).toMatch(/^one\.+bye$/);
  expect(asked).toBeGreaterThan(0);
});

it('answers datagrams, the same client from the same upstream socket, also by the new processes', async () => {
  const upstream = createSocket('udp4').on('message', (data, from) =>
    upstream.send(`${data} from ${from.port}`, from.port, from.address),
  );
  servers.push(upstream);
  await new Promise<void>((bound) => upstream.bind(0, '127.0.0.1', bound));
  await create('/services', { name: 'dns', url: `udp://127.0.0.1:${upstream.address().port}` });
  await create('/services/dns/routes', { name: 'dns', protocols: ['udp'], expression: 'net.protocol == "udp"' });
  const ask = async (): Promise<string> => {
    const client = createSocket('udp4');
    const came: string[] = [];
    client.on('message', (data) => came.push(String(data)));
    await until(() => {
      client.send('q', datagrams, '127.0.0.1');
      return came.length >= 3;
    }, 'three answers over UDP');
    client.close();
    return new Set(came).size === 1 ? 'one socket' : came.join();
  };
  for (let i = 0; i < 8; i++) expect(await ask()).toBe('one socket');
});
