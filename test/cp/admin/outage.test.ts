import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts } from '../../free-port.ts';
import { once } from '../../once.ts';
import { type PostgresServer, startPostgres } from '../../postgres-server.ts';
import { until } from '../../until.ts';
import { type RunningControlPlane, runControlPlane } from '../running-control-plane.ts';
import { type AdminServer, startAdmin } from './admin-server.ts';
import { createEmbedded } from './drivers.ts';

describe('when the database goes away', () => {
  let server: PostgresServer;
  let cable: Cable;
  let admin: AdminServer;
  let plane: RunningControlPlane;

  beforeAll(async () => {
    server = await startPostgres();
    cable = await layCable(server.settings().pg_port);
    const { pg_host, pg_user, pg_database } = server.settings();
    admin = await startAdmin({ ...server.settings(), pg_port: cable.port });
    plane = await runControlPlane({
      database: 'postgres',
      pg_host,
      pg_user,
      pg_database,
      pg_port: String(cable.port),
      status_listen: '127.0.0.1:0',
    });
  });
  afterAll(async () => {
    await plane?.stop();
    await admin?.close();
    await cable?.cut();
    await server?.stop();
  });

  it('says so, keeps what it acknowledged, and goes on by itself when the database is back', async () => {
    const { body } = await admin.send('POST', '/services', { json: { name: 'kept', host: 'h' } });
    await cable.cut();
    for (const [method, path, json] of [
      ['POST', '/services', { host: 'lost' }],
      ['GET', '/services', undefined],
      ['GET', '/', undefined],
    ] as const) {
      const answer = await admin.send(method, path, json === undefined ? {} : { json });
      expect(answer, `${method} ${path}`).toMatchObject({
        status: 503,
        body: {
          message: expect.stringMatching(/^the database is not available: (connection refused|the connection to it)/),
        },
      });
      expect(answer.headers.get('retry-after')).toBe('5');
    }
    expect((await admin.send('GET', '/status')).body.database).toEqual({
      reachable: false,
      reason: 'connection refused; is the server running?',
    });
    expect(admin.log.filter((line) => line.startsWith('error: ')).length).toBeGreaterThanOrEqual(3);

    await cable.mend();
    expect((await admin.send('GET', '/services/kept')).body).toEqual(body);
    expect((await admin.send('GET', '/services')).rows).toEqual([body]);
    expect((await admin.send('GET', '/status')).body.database).toMatchObject({ reachable: true });
  });

  it('answers probes at once while the database says nothing, and tells for how long', async () => {
    cable.hold();
    // The first alone: it is what fills the time until the next ones.
    const { body } = await admin.send('GET', '/status');
    expect(body.database).toEqual({
      reachable: false,
      reason: expect.stringMatching(/^it has not answered for \d+\.\d s$/),
    });
    const probes = await Promise.all(Array.from({ length: 20 }, () => admin.send('GET', '/status')));
    expect(probes.map((probe) => probe.body.database)).not.toContainEqual(expect.objectContaining({ reachable: true }));
    const ready = await fetch(`${plane.status}/status/ready`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { message: 'failed to connect to database', reason: expect.stringMatching(/^it has not answered for/) },
    ]);
    const metrics = await (await fetch(`${plane.status}/metrics`)).text();
    expect(metrics).toContain('\nkong_datastore_reachable 0\n');
    expect(metrics).toMatch(/^holdfast_database_connections\{state="active"\} [1-9]/m);
    expect(metrics).toContain('\nholdfast_data_planes_connected 0\n');
    cable.release();
    await expect
      .poll(async () => (await admin.send('GET', '/status')).body.database, { message: 'the database to be back' })
      .toMatchObject({ reachable: true });
    await expect
      .poll(async () => (await fetch(`${plane.status}/status/ready`)).status, { message: 'readiness', timeout: 60_000 })
      .toBe(200);
  });
});

/** A TCP relay in front of a port, to be cut and mended. */
interface Cable {
  readonly port: number;
  cut(): Promise<void>;
  mend(): Promise<void>;
  /** Carries nothing any more, in either direction, without a word. */
  hold(): void;
  release(): void;
}

async function layCable(target: number): Promise<Cable> {
  const sockets = new Set<Socket>();
  let held = false;
  const relay = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
    if (held) for (const socket of [near, far]) socket.pause();
  });
  const open = (port: number) => new Promise<void>((resolve) => relay.listen(port, '127.0.0.1', resolve));
  const [port = 0] = await freePorts(1);
  await open(port);
  return {
    port,
    mend: () => open(port),
    hold: () => {
      held = true;
      for (const socket of sockets) socket.pause();
    },
    release: () => {
      held = false;
      for (const socket of sockets) socket.resume();
    },
    cut: () =>
      new Promise((resolve) => {
        relay.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

describe('when the listener closes', () => {
  it('ends who is connected and says nothing, answers the request in flight and takes no new connection', async () => {
    const database = await createEmbedded();
    const admin = await startAdmin(database.settings);
    const port = Number(new URL(admin.url).port);
    const silent = connect({ port, host: '127.0.0.1' }).resume();
    await once(silent, 'connect');
    const socket = connect(port, '127.0.0.1');
    const answered = new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (data) => (text += data.toString()));
      socket.on('close', () => resolve(text));
    });
    const head =
      'POST /services HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n';
    await new Promise<void>((resolve) => socket.write(head, () => resolve()));
    // The request has begun once the server knows of it.
    await until(
      async () => (await admin.send('GET', '/status')).text.includes('"connections_writing":2'),
      'the server to know of the request',
    );

    const closed = admin.close();
    // While the request is still in flight: it is not what they wait for together.
    await once(silent, 'close');
    await expect(fetch(admin.url)).rejects.toThrow();
    socket.write('{"host":"h"}');
    expect(await answered).toContain('201 Created');
    await closed;
    await database.drop();
  });
});
