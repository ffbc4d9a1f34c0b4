import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openDatabase, openStore, type StoreSettings } from '../../../cp/store/open.ts';
import type { Store } from '../../../cp/store/store.ts';
import { purgeTelemetry } from '../../../cp/store/telemetry.ts';
import { encodeMetrics } from '../../../edge-dp/telemetry/otlp-metrics.ts';
import { SESSION_HEADER } from '../../../shared/cluster/node-proof.ts';
import { SENT_AT_HEADER, TELEMETRY_PATHS } from '../../../shared/telemetry/messages.ts';
import { BUCKETS, bucketOf, type Series, type TelemetryBatch } from '../../../shared/telemetry/series.ts';
import { call, controlPlaneOver } from '../cluster/control-plane.ts';
import { KnownNode } from '../cluster/known-node.ts';
import { onBothDrivers } from '../store/drivers.ts';
import { workspaceOf } from '../store/workspace-of.ts';
import { makeFullable } from './full-disk.ts';

const ROUTE = '0d0d0d0d-0000-4000-8000-000000000001';
const ALL = { dimension: 'route', width: 60, step: 60, from: 0, until: 9_999_999_999, of: {}, most: 100 } as const;

function counted(requests: number, of: Partial<Series> = {}): Series {
  const buckets = new Array<number>(BUCKETS).fill(0);
  buckets[bucketOf(20)] = requests;
  const latencies = { buckets, sum: requests * 20 };
  const key = { dimension: 'route', subject: ROUTE, service: '', status: 2, source: 'service' } as const;
  return { ...key, request: latencies, upstream: latencies, ...of };
}

onBothDrivers('telemetry of data planes', ({ fresh }) => {
  let settings: StoreSettings;
  let store: Store;
  beforeAll(async () => {
    settings = await fresh();
    store = await openStore(settings, { migrate: true });
  });
  afterAll(() => store?.close());

  async function controlPlane() {
    const log: string[] = [];
    const plane = await controlPlaneOver(store, { log: (level, message) => void log.push(`${level} ${message}`) });
    onTestFinished(plane.stop);
    return { ...plane, log, telemetry: plane.listener.telemetryAddresses[0]?.port ?? 0 };
  }

  /** A data plane that is known, and may tell. */
  async function node(plane: Awaited<ReturnType<typeof controlPlane>>) {
    const known = await KnownNode.create();
    expect((await known.greet(plane.port)).status).toBe(200);
    const stream = crypto.randomUUID();
    const { session } = await known.tells(plane.telemetry);
    let number = 0;
    const batch = (series: readonly Series[], changes: Partial<TelemetryBatch> = {}): TelemetryBatch => {
      const until = Date.now();
      return {
        node: known.id,
        stream,
        number: ++number,
        from: until - 5_000,
        until,
        series,
        bounded: 0,
        dropped: 0,
        ...changes,
      };
    };
    const post = async (body: Uint8Array, headers: Record<string, string> = {}, shown = session) => {
      const answer = await call(plane.telemetry, `${TELEMETRY_PATHS.metrics}?node=${known.id}`, {
        tls: known.tls,
        method: 'POST',
        body,
        headers: { [SESSION_HEADER]: shown, [SENT_AT_HEADER]: String(Date.now()), ...headers },
      });
      return { status: answer.status, text: answer.body.toString() };
    };
    return { known, session, batch, post, tell: (told: TelemetryBatch) => post(encodeMetrics(told)) };
  }

  const requestsOf = async (id: string): Promise<number> => {
    const points = await store.telemetry.read({ ...ALL, level: 'nodes', of: { node: id } });
    return points.flatMap(({ requests }) => requests).reduce((sum, { count }) => sum + count, 0);
  };

  test('is kept once, however often it is told, packed or not, and by whichever control plane', async () => {
    const [plane, other] = [await controlPlane(), await controlPlane()];
    const telling = await node(plane);
    const first = telling.batch([counted(7), counted(3, { status: 5 })]);
    expect((await telling.tell(first)).status).toBe(200);
    expect((await telling.tell(first)).status).toBe(200);
    const { session } = await telling.known.tells(other.telemetry);
    const again = await call(other.telemetry, `${TELEMETRY_PATHS.metrics}?node=${telling.known.id}`, {
      method: 'POST',
      body: gzipSync(encodeMetrics(first)),
      headers: { [SESSION_HEADER]: session, [SENT_AT_HEADER]: String(Date.now()), 'content-encoding': 'gzip' },
    });
    expect(again.status).toBe(200);
    expect(await requestsOf(telling.known.id)).toBe(10);
    // What is numbered anew, since the node was started, is another batch of the same number.
    expect((await telling.tell({ ...first, stream: crypto.randomUUID() })).status).toBe(200);
    expect(await requestsOf(telling.known.id)).toBe(20);
    const [point] = await store.telemetry.read({ ...ALL, level: 'routes', of: { node: telling.known.id, status: 5 } });
    expect(point).toMatchObject({ subject: ROUTE, requests: [{ status: 5, source: 'service', count: 6 }] });
    expect(plane.listener.telemetry).toMatchObject({ kept: 3, refused: 0, failed: 0 });
  });

  test('is as old as it says, whatever the clock of the node says, and never of the future', async () => {
    const plane = await controlPlane();
    const telling = await node(plane);
    const now = await store.telemetry.now();
    const ago = (seconds: number) => ({ until: Date.now() - 3_600_000 - seconds * 1000, from: 0 });
    const sent = (changes: Partial<TelemetryBatch>) =>
      telling.post(encodeMetrics(telling.batch([counted(1)], changes)), {
        [SENT_AT_HEADER]: String(Date.now() - 3_600_000),
      });
    expect((await sent(ago(600))).status).toBe(200);
    expect((await sent(ago(-600))).status).toBe(200);
    const points = await store.telemetry.read({
      ...ALL,
      level: 'cluster',
      width: 5,
      step: 5,
      of: { node: telling.known.id },
    });
    const ages = points.map(({ at }) => Math.round(Math.abs(now - at) / 100) * 100);
    expect(ages).toEqual([600, 0]);
  });

  test('is taken of nobody but the data plane whose it is, and in no form but its own', async () => {
    const plane = await controlPlane();
    const telling = await node(plane);
    const other = await node(plane);
    const thief = await KnownNode.create(telling.known.id);
    expect((await thief.tells(plane.telemetry)).status).toBe(403);
    // What shows it at the port of config shows nothing here.
    expect((await telling.known.tells(plane.telemetry, '')).status).toBe(400);
    expect((await (await KnownNode.create()).tells(plane.telemetry)).status).toBe(403);
    const good = telling.batch([counted(1)]);
    expect(await telling.post(encodeMetrics(good), {}, other.session)).toMatchObject({ status: 401 });
    expect(await telling.post(encodeMetrics({ ...good, node: other.known.id }))).toMatchObject({
      status: 400,
      text: expect.stringContaining(`the batch is of node ${other.known.id}`),
    });
    const refused: readonly [Uint8Array, Record<string, string>, string][] = [
      [Buffer.from('no protobuf at all'), {}, 'no message of Protocol Buffers'],
      [new Uint8Array(0), {}, 'the metrics of one resource'],
      [encodeMetrics({ ...good, stream: 'x' }), {}, 'the resource needs'],
      [encodeMetrics({ ...good, series: [counted(1, { subject: 'DROP TABLE' })] }), {}, 'route: expected an id'],
      [encodeMetrics({ ...good, series: [counted(1e9)] }), {}, 'requests in one count'],
      [encodeMetrics(good), { [SENT_AT_HEADER]: 'now' }, SENT_AT_HEADER],
      [gzipSync(Buffer.alloc(9 << 20)), { 'content-encoding': 'gzip' }, 'no gzip of'],
      [Buffer.alloc((2 << 20) + 1), {}, 'more than 2097152 bytes'],
      [
        gzipSync(encodeMetrics({ ...good, series: seriesOf(3_200) })),
        { 'content-encoding': 'gzip' },
        'more than 3130 series',
      ],
    ];
    for (const [body, headers, reason] of refused) {
      expect(await telling.post(body, headers)).toEqual({ status: 400, text: expect.stringContaining(reason) });
    }
    expect(await requestsOf(telling.known.id)).toBe(0);
    expect((await telling.tell(good)).status).toBe(200);
    // Once it is forgotten it has to show it again, and cannot before it has said hello.
    await plane.listener.forget(telling.known.id);
    expect((await telling.tell(telling.batch([counted(1)]))).status).toBe(401);
    expect((await telling.known.tells(plane.telemetry)).status).toBe(403);
  });

  test('of one that tells without end is bounded, while that of the others and the Admin API go on', async () => {
    const plane = await controlPlane();
    const [hostile, honest] = [await node(plane), await node(plane)];
    const statuses = new Set<number>();
    const flood = encodeMetrics(hostile.batch([counted(1)]));
    for (let times = 0; times < 40 && !statuses.has(429); times++) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => hostile.post(flood)));
      for (const { status } of answers) statuses.add(status);
    }
    expect(statuses).toContain(429);
    expect((await honest.tell(honest.batch([counted(5)]))).status).toBe(200);
    expect(await requestsOf(honest.known.id)).toBe(5);
    // Each of its batches counted once: they all have one number.
    expect(await requestsOf(hostile.known.id)).toBeLessThanOrEqual(1);
  });

  test('waits at the data planes while the database does not take it, and writes of config do not', async () => {
    await meddle(makeFullable);
    const plane = await controlPlane();
    const telling = await node(plane);
    const services = (await workspaceOf(store)).entity('services');
    const full = await services.insert({ name: 'full', host: 'example.test' });
    const batch = telling.batch([counted(4)]);
    expect(await telling.tell(batch)).toMatchObject({ status: 503 });
    expect(await telling.tell(batch)).toMatchObject({ status: 503 });
    expect(plane.log.filter((line) => line.includes('telemetry cannot be kept'))).toHaveLength(1);
    await services.insert({ name: 'written', host: 'example.test' });
    await services.delete({ id: String(full.id) });
    expect((await telling.tell(batch)).status).toBe(200);
    expect(await requestsOf(telling.known.id)).toBe(4);
    expect(plane.log).toContain('notice telemetry is kept again');
  });

  test('is forgotten in time, first what is in small steps; what all came to goes on', async () => {
    const id = crypto.randomUUID();
    const stream = crypto.randomUUID();
    const batch = { node: id, stream, from: 0, until: 0, bounded: 0, dropped: 0, series: [counted(2)] };
    for (const [number, age] of [3_500, 5_000, 7 * 86_400 - 200, 8 * 86_400].entries()) {
      await store.telemetry.keep([{ batch: { ...batch, number }, age }]);
    }
    const count = async (width: number): Promise<number> => {
      const points = await store.telemetry.read({ ...ALL, level: 'cluster', width, step: width, of: { node: id } });
      return points.flatMap(({ requests }) => requests).reduce((sum, one) => sum + one.count, 0);
    };
    expect([await count(5), await count(60)]).toEqual([2, 6]);
    const before = (await store.telemetry.totals(100)).find(({ subject }) => subject === ROUTE);
    // A day goes by.
    const steps = await meddle(async (database) => {
      await database.query('UPDATE telemetry SET at = at - 86400 WHERE width > 0');
      await purgeTelemetry(database);
      return database.query('SELECT width, count(*)::integer AS rows FROM telemetry WHERE node = $1::uuid GROUP BY 1', [
        id,
      ]);
    });
    expect(steps).toEqual([{ width: 60, rows: 2 }]);
    expect((await store.telemetry.totals(100)).find(({ subject }) => subject === ROUTE)).toEqual(before);
  });

  test('that has said so much of a route that no sum holds it does not keep others from telling of it', async () => {
    const subject = crypto.randomUUID();
    const tell = (sum: number) => {
      const batch = { node: crypto.randomUUID(), stream: crypto.randomUUID(), number: 1, from: 0, until: 0 };
      const { request } = counted(1);
      const series = [counted(1, { subject, request: { ...request, sum } })];
      return store.telemetry.keep([{ batch: { ...batch, bounded: 0, dropped: 0, series }, age: 1 }]);
    };
    await tell(1e15);
    await meddle((database) =>
      database.query('UPDATE telemetry SET request_sum = $2::bigint WHERE subject = $1', [
        subject,
        `${2n ** 63n - 10n}`,
      ]),
    );
    await tell(1e15);
    expect((await store.telemetry.totals(100)).find((one) => one.subject === subject)?.request.sum).toBe(2 ** 63);
  });

  test('of data planes with a release stands beside that of the others, and of all before it', async () => {
    const [canary = '', other = '', stranger = ''] = Array.from({ length: 3 }, () => crypto.randomUUID());
    const tell = (id: string, serial: string, counts: readonly Series[], age: number) => {
      const batch = { node: id, stream: crypto.randomUUID(), number: 1, from: 0, until: 0, bounded: 0, dropped: 0 };
      const series = counts.map((count): Series => ({ ...count, dimension: 'serial', subject: serial }));
      return store.telemetry.keep([{ batch: { ...batch, series }, age }]);
    };
    const since = (await store.telemetry.now()) - 60;
    await tell(canary, '7', [counted(100)], 300);
    await tell(other, '7', [counted(50), counted(5, { status: 5 })], 200);
    await tell(other, '7', [counted(1_000)], 3_000);
    await tell(canary, '9', [counted(20), counted(10, { status: 5 }), counted(2, { status: 5, source: 'kong' })], 10);
    // What it served of the config before meanwhile says nothing of either.
    await tell(canary, '7', [counted(500)], 20);
    await tell(other, '7', [counted(80)], 10);
    await tell(other, '', [counted(800)], 10);
    await tell(stranger, '7', [counted(900)], 10);
    const sidesOf = (ring: string[], split: string[], rest: string[]) =>
      store.telemetry.sides({ since, serial: 9, ring, split, others: rest });
    const { ring, others, before } = await sidesOf([canary], [], [other]);
    expect([ring, others, before].map(({ requests, failed }) => [requests, failed])).toEqual([
      [32, 12],
      [80, 0],
      [155, 5],
    ]);
    expect(ring.latencies.buckets[bucketOf(20)]).toBe(32);
    expect((await sidesOf([], [], [])).ring.requests).toBe(0);
    // One that has both at a time is on both sides, by the serials that it tells.
    const split = await sidesOf([], [canary], [other]);
    expect(split.ring).toEqual(ring);
    expect(split.before).toEqual(before);
    expect(split.others.requests).toBeGreaterThan(others.requests);
  });

  /** Does something to the database behind the back of the store. */
  async function meddle<T>(work: (database: Awaited<ReturnType<typeof openDatabase>>) => Promise<T>): Promise<T> {
    await store.close();
    const database = await openDatabase(settings);
    try {
      return await work(database);
    } finally {
      await database.close();
      store = await openStore(settings);
    }
  }
});

function seriesOf(count: number): readonly Series[] {
  return Array.from({ length: count }, (_, place) =>
    counted(1, { subject: `0d0d0d0d-0000-4000-8000-${String(place).padStart(12, '0')}` }),
  );
}
