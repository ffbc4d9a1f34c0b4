import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { clusterView } from '../../../cp/cluster/view.ts';
import { ReleaseDesk } from '../../../cp/releases/desk.ts';
import { readStrategy, sharesOf } from '../../../cp/releases/rings.ts';
import { openStore } from '../../../cp/store/open.ts';
import type { Workspace } from '../../../cp/store/store.ts';
import type { Manifest } from '../../../shared/bundle/format.ts';
import { tablesIn } from '../../../shared/bundle/split.ts';
import { BUCKETS, bucketOf } from '../../../shared/telemetry/series.ts';
import { type PostgresServer, startPostgres } from '../../postgres-server.ts';
import { controlPlaneOver, hello, TestLink, verify } from '../cluster/control-plane.ts';
import { workspaceOf } from '../store/workspace-of.ts';

/** Milliseconds for what takes a moment, also on a busy machine. */
const PATIENCE = { timeout: 60_000 };

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
  await (await openStore(server.settings(), { migrate: true })).close();
});
afterAll(() => server.stop());

/** One of several control planes on the database; `patience`: milliseconds for data planes that left. */
async function controlPlane(patience?: number) {
  const store = await openStore(server.settings());
  const lines: string[] = [];
  const log = (level: string, message: string) => void lines.push(`${level} ${message}`);
  const { publisher, listener, port, stop: end } = await controlPlaneOver(store, { log });
  const desk = new ReleaseDesk({
    publisher,
    store: store.releases,
    registry: store.nodes,
    telemetry: store.telemetry,
    log,
    interval: 50,
    ...(patience !== undefined && { patience }),
  });
  let running = true;
  const stop = async () => {
    if (!running) return;
    running = false;
    desk.stop();
    await end();
    await store.close();
  };
  onTestFinished(stop);
  return { store, publisher, listener, desk, port, lines, stop, here: await workspaceOf(store) };
}

/** A data plane that takes what it is given, or refuses what `refuses` says. */
class Node {
  readonly id = crypto.randomUUID();
  readonly took: Manifest[] = [];
  /** Manifests that it refuses, by their config hash. */
  refuses = (_: Manifest) => false;
  #jws: string | null = null;
  #link: TestLink | null = null;
  readonly #labels: Record<string, string>;
  readonly #capabilities: readonly string[];

  constructor(labels: Record<string, string>, capabilities: readonly string[] = []) {
    this.#labels = labels;
    this.#capabilities = capabilities;
  }

  get now(): Manifest | undefined {
    return this.took.at(-1);
  }

  leave(): void {
    this.#link?.socket.terminate();
    this.#link = null;
  }

  async connect({ port }: { readonly port: number }): Promise<void> {
    this.leave();
    const link = await TestLink.open(port);
    this.#link = link;
    onTestFinished(() => link.socket.terminate());
    const node = { id: this.id, hostname: this.id, labels: this.#labels, capabilities: this.#capabilities };
    link.say({ ...hello(node, this.#jws), assignable: true });
    void this.#follow(link);
  }

  async #follow(link: TestLink): Promise<void> {
    for (;;) {
      const message = await link.hearAny().catch(() => null);
      if (message === null || this.#link !== link) return;
      if (message.type !== 'manifest') continue;
      const manifest = await verify(message.manifest, null);
      const { serial, config_hash } = manifest;
      const least = this.now?.serial ?? 0;
      if (serial < least) throw new Error(`serial ${serial} after ${least}`);
      if (this.refuses(manifest)) {
        link.say({ type: 'rejected', serial, reason: 'does not compile' });
        continue;
      }
      this.#jws = message.manifest;
      this.took.push(manifest);
      link.say({
        type: 'applied',
        serial,
        config_hash,
        ...(this.took.length > 1 && { load_ms: 100 * this.took.length }),
      });
    }
  }
}

const group = (here: Workspace, name: string) =>
  here.entity('groups').insert({ name, labels: `in = ${name}`, select_tags: name, publish: 'release' });

const service = (here: Workspace, name: string, ...tags: string[]) =>
  here.entity('services').insert({ name, host: `${name}.test`, tags });

describe('a group that publishes by releases', () => {
  test('gets what was released, of every control plane, also of one that starts anew; and has it back after a rollback', async () => {
    const [a, b] = [await controlPlane(), await controlPlane()];
    await service(a.here, 'before', 'eu');
    await group(a.here, 'eu');
    const node = new Node({ in: 'eu' });
    await node.connect(b);
    // A control plane that has not heard of the group yet takes it for one of `default`.
    await expect.poll(() => [node.now?.group, node.now?.tables.services?.rows], PATIENCE).toEqual(['eu', 1]);
    const first = node.now;

    const written = await service(a.here, 'pending', 'eu');
    await a.here.entity('services').update({ field: 'name', value: 'before' }, { host: 'moved.test' });
    await service(a.here, 'elsewhere');
    const pending = (await a.desk.pending('eu')) ?? expect.fail('the group publishes at once');
    expect(pending.changes.toSorted((x, y) => (x.operation < y.operation ? -1 : 1))).toEqual([
      { entity: 'services', id: written.id, name: 'pending', operation: 'create' },
      expect.objectContaining({
        name: 'before',
        operation: 'update',
        fields: { host: { from: 'before.test', to: 'moved.test' } },
      }),
    ]);
    await b.publisher.flush();
    expect(b.publisher.release('default')?.manifest.serial).toBe(b.publisher.serial());
    expect(node.now).toBe(first);
    const view = clusterView(b.store.nodes, b.listener);
    const stateOf = async () => (await view.serials()).find(({ id }) => id === node.id);
    expect(await stateOf()).toMatchObject({ serial: first?.serial, reason: "group 'eu' has not been released to" });

    const released = await a.desk.create('eu', [], null);
    await expect.poll(() => node.now?.tables.services?.rows, PATIENCE).toBe(2);
    expect(node.now?.serial).toBe(released.serial);
    expect(await a.desk.pending('eu')).toMatchObject({ configHash: pending.configHash, changes: [] });
    const writes = (await b.desk.writes(released)) ?? expect.fail('the change log is gone');
    expect(writes.map(({ entity, operation }) => `${operation} ${entity}`).slice(0, 3)).toEqual([
      'create services',
      'update services',
      'create services',
    ]);
    expect(writes[2]).toMatchObject({ id: written.id, serial: expect.any(Number), at: expect.any(Number) });
    // What is no part of it waits for nothing.
    await service(a.here, 'afar');
    await expect.poll(stateOf, PATIENCE).toMatchObject({ serial: released.serial + 1, reason: null });
    await expect(a.desk.create('eu', [], null)).rejects.toThrow("nothing is pending for group 'eu'");

    // Written after it, and before a control plane that has nothing of it in memory.
    await a.here.entity('services').delete({ id: String(written.id) });
    await Promise.all([a.stop(), b.stop()]);
    const c = await controlPlane();
    const fresh = new Node({ in: 'eu' });
    await Promise.all([node.connect(c), fresh.connect(c)]);
    await expect.poll(() => fresh.now?.tables.services?.rows, PATIENCE).toBe(2);
    expect(fresh.now?.config_hash).toBe(node.now?.config_hash);

    const { releases } = await c.desk.page({ group: 'eu' });
    expect(releases.map(({ state }) => state)).toEqual(['live', 'replaced']);
    const back = await c.desk.rollback(releases[1] ?? expect.fail('the first release is gone'), c.here);
    expect(back.rollbackTo).toBe(releases[1]?.id);
    await expect.poll(() => node.now?.config_hash, PATIENCE).toBe(first?.config_hash);
    expect(node.now?.serial).toBe(back.serial);
    expect(back.serial).toBeGreaterThan(released.serial);
    expect(await c.desk.writes(back)).toEqual([]);
    expect(await c.desk.writes(releases[1] ?? back)).toBeNull();

    // It publishes at once again, from what is written now.
    await c.here.entity('groups').update({ field: 'name', value: 'eu' }, { publish: 'immediate' });
    await expect
      .poll(() => [node.now?.tables.services?.rows, node.now?.config_hash === first?.config_hash], PATIENCE)
      .toEqual([1, false]);
    await expect.poll(async () => (await c.desk.page({ group: 'eu' })).releases[0]?.state, PATIENCE).toBe('replaced');
  });

  test('goes ring by ring, which one control plane at a time drives; is undone where a data plane refuses it', async () => {
    const [a, b] = [await controlPlane(), await controlPlane()];
    await service(a.here, 'good', 'rings');
    await group(a.here, 'rings');
    const canary = new Node({ in: 'rings', canary: 'x' });
    const others = [new Node({ in: 'rings' }), new Node({ in: 'rings' })];
    await Promise.all([canary.connect(a), others[0]?.connect(a), others[1]?.connect(b)]);
    for (const node of [canary, ...others]) await expect.poll(() => node.now?.tables.services?.rows, PATIENCE).toBe(1);
    const before = canary.now;

    await service(a.here, 'bad', 'rings');
    canary.refuses = ({ tables }) => tables.services?.rows === 2;
    const strategy = readStrategy([{ nodes: { labels: 'canary' }, hold: 3600 }]);
    const bad = await a.desk.create('rings', strategy, null);
    await expect.poll(async () => (await b.desk.get(bad.id))?.state, PATIENCE).toBe('aborted');
    expect((await b.desk.get(bad.id))?.reason).toContain(
      `ring 1: 1 of its data planes do not take it (max_nack 0): ${canary.id}: does not compile`,
    );
    await expect.poll(() => canary.now?.serial ?? 0, PATIENCE).toBeGreaterThan(bad.serial);
    expect(canary.now?.config_hash).toBe(before?.config_hash);
    for (const node of others) {
      const had = node.took.filter((manifest) => manifest.group === 'rings');
      expect(new Set(had.map(({ config_hash }) => config_hash)).size).toBe(1);
    }

    // The same again, which the canary takes; it is paused there, goes on, and everybody gets it.
    canary.refuses = () => false;
    const good = await b.desk.create(
      'rings',
      readStrategy([{ nodes: { labels: 'canary' }, hold: 0, gates: { min_nodes: 2 } }]),
      null,
    );
    await expect.poll(() => canary.now?.tables.services?.rows, PATIENCE).toBe(2);
    // Another write makes no difference, and another release has to wait.
    await service(a.here, 'next', 'rings');
    await expect(a.desk.create('rings', [], null)).rejects.toThrow('on its way');
    // Two are asked for, and one has it.
    expect(others.map((node) => node.now?.tables.services?.rows)).toEqual([1, 1]);
    const paused = await a.desk.order(await current(a, good.id), 'pause');
    await expect(a.desk.order(paused, 'pause')).rejects.toThrow('is paused cannot be told to pause');
    await a.desk.order(await a.desk.order(paused, 'resume'), 'promote');
    for (const node of others) await expect.poll(() => node.now?.tables.services?.rows, PATIENCE).toBe(2);
    expect((await current(b, good.id)).state).toBe('live');
    // It has it already, under the serial that it keeps.
    expect(canary.now?.serial).toBe(good.serial);
  });

  test('is given for a part of the requests to data planes that can split them, for more with each ring, then whole; undone, nobody has it', async () => {
    const [a, b] = [await controlPlane(), await controlPlane()];
    await service(a.here, 'first-part', 'parts');
    await group(a.here, 'parts');
    const able = new Node({ in: 'parts' }, ['traffic_split', 'client_address']);
    const old = new Node({ in: 'parts' }, ['client_address']);
    await Promise.all([able.connect(a), old.connect(b)]);
    for (const node of [able, old]) await expect.poll(() => node.now?.tables.services?.rows, PATIENCE).toBe(1);
    const before = able.now;
    expect(before?.split).toBeUndefined();

    await service(a.here, 'second-part', 'parts');
    const by = 'client_ip';
    const strategy = readStrategy(
      [5, 50].map((percent) => ({ traffic: { percent, by }, hold: 3600, gates: { min_nodes: 1 } })),
    );
    const tried = await a.desk.create('parts', strategy, null);
    const split = (percent: number) => ({
      release: tried.id,
      percent,
      by,
      serial: tried.serial,
      rest_serial: before?.serial,
      config_hash: tried.content.config_hash,
    });
    await expect.poll(() => able.now?.split, PATIENCE).toMatchObject(split(5));
    expect(able.now).toMatchObject({ serial: tried.serial, config_hash: before?.config_hash });
    for (const [, { index }] of tablesIn(able.now ?? expect.fail('it has nothing'))) {
      await expect.poll(() => b.publisher.object(index), PATIENCE).toBeDefined();
    }
    const left = () => [old.now?.config_hash, old.now?.split];
    expect(left()).toEqual([before?.config_hash, undefined]);
    const figures = async () => b.desk.figures(await current(b, tried.id));
    await expect
      .poll(figures, PATIENCE)
      .toMatchObject({ nodes: 1, nodes_serving: 1, nodes_unable: 1, waits_for: [expect.stringContaining('hold')] });
    expect([...a.lines, ...b.lines].join('\n')).toContain(
      `data planes that keep the config before release ${tried.id}, since ring 1 wants their requests split, which they are not able to: ${old.id}`,
    );

    // Of another control plane it gets the same, and more of it with the next ring, told as before.
    await able.connect(b);
    await expect.poll(() => b.listener.nodes.get(able.id)?.record.serial, PATIENCE).toBe(tried.serial);
    const grown = await a.desk.order(await current(a, tried.id), 'promote');
    expect(grown.serial).toBeGreaterThan(tried.serial);
    await expect.poll(() => able.now?.split, PATIENCE).toMatchObject(split(50));
    expect(able.now?.serial).toBe(grown.serial);
    expect(left()).toEqual([before?.config_hash, undefined]);
    const live = await b.desk.order(await current(b, tried.id), 'promote');
    expect(live.state).toBe('live');
    for (const node of [able, old]) await expect.poll(() => node.now?.tables.services?.rows, PATIENCE).toBe(2);
    expect([able.now?.split, able.now?.serial, able.now?.config_hash]).toEqual([
      undefined,
      live.serial,
      tried.content.config_hash,
    ]);

    await service(a.here, 'third-part', 'parts');
    const undone = await a.desk.create('parts', strategy, null);
    await expect.poll(() => able.now?.split?.release, PATIENCE).toBe(undone.id);
    await a.desk.order(await current(a, undone.id), 'abort');
    await expect.poll(() => able.now?.split, PATIENCE).toBeUndefined();
    expect(able.now?.config_hash).toBe(tried.content.config_hash);
    expect(able.now?.serial).toBeGreaterThan(undone.serial);
  });

  test('goes on without data planes of a ring that leave, unless so many are asked for; what they served before counts', async () => {
    const a = await controlPlane();
    await service(a.here, 'kept', 'leaving');
    await group(a.here, 'leaving');
    const canaries = [new Node({ in: 'leaving', canary: 'x' }), new Node({ in: 'leaving', canary: 'x' })];
    const other = new Node({ in: 'leaving' });
    for (const node of [...canaries, other]) await node.connect(a);
    const rowsAt = async (node: Node, rows: number) =>
      expect.poll(() => node.now?.tables.services?.rows, PATIENCE).toBe(rows);
    for (const node of [...canaries, other]) await rowsAt(node, 1);
    const release = async (name: string, { hold, gates }: { readonly hold: number; readonly gates?: object }) => {
      await service(a.here, name, 'leaving');
      const first = { nodes: { labels: 'canary' }, hold, gates: { max_gone_increase: null, ...gates } };
      const strategy = readStrategy([first, { hold: 3600 }]);
      return a.desk.create('leaving', strategy, null);
    };
    const figures = async (id: string) => a.desk.figures(await current(a, id));
    const leave = async (id: string) => {
      for (const node of canaries) node.leave();
      await expect.poll(() => figures(id), PATIENCE).toMatchObject({ nodes: 0, nodes_serving: 0, nodes_gone: 2 });
    };
    const comeBack = async () => {
      for (const node of canaries) await node.connect(a);
    };

    // In the middle of the hold, and all of them: it lasts as long as it would have, and the next ring begins.
    const unasked = await release('second', { hold: 3 });
    for (const node of canaries) await rowsAt(node, 2);
    await leave(unasked.id);
    expect(other.now?.tables.services?.rows).toBe(1);
    await rowsAt(other, 2);
    await comeBack();
    await a.desk.order(await current(a, unasked.id), 'promote');

    // One is asked for: it waits until one is back.
    const asked = await release('third', { hold: 0, gates: { min_nodes: 2, min_requests: 10 } });
    for (const node of canaries) await rowsAt(node, 3);
    const slowest = Math.max(...canaries.map(({ took }) => took.length)) * 100;
    await expect.poll(() => figures(asked.id), PATIENCE).toMatchObject({ nodes_serving: 2, load_ms: slowest });
    await leave(asked.id);
    expect((await figures(asked.id))?.waits_for).toContain('0 of 2 data planes (min_nodes)');
    await comeBack();
    // Then there is no traffic: it waits for that, as it says, and for whoever promotes it.
    const waiting = ['0 of 10 requests (min_requests)'];
    await expect.poll(async () => (await figures(asked.id))?.waits_for, PATIENCE).toEqual(waiting);
    expect(await current(a, asked.id)).toMatchObject({ state: 'rolling', ring: 0 });
    expect(other.now?.tables.services?.rows).toBe(2);
    await a.desk.order(await current(a, asked.id), 'promote');
    await rowsAt(other, 3);
    await a.desk.order(await current(a, asked.id), 'promote');

    // What was answered before they left, which may be why they did, undoes it all the same.
    const bad = await release('fourth', { hold: 3600 });
    for (const node of canaries) await rowsAt(node, 4);
    await leave(bad.id);
    for (const node of canaries) await tell(a, node, { serial: bad.serial, status: 5, requests: 40 });
    await expect.poll(async () => (await current(a, bad.id)).state, PATIENCE).toBe('aborted');
    expect((await current(a, bad.id)).reason).toMatch(/^ring 1: 80 of 80 requests \(100 %\) were answered 5xx/);
    expect(other.now?.tables.services?.rows).toBe(3);
    await comeBack();
    for (const node of canaries) await rowsAt(node, 3);
  });

  test('is undone where data planes of a ring leave and stay away, of which it waits to be sure; not where one of two does, nor where the others leave, too', async () => {
    const a = await controlPlane(3_600_000);
    await service(a.here, 'kept-taken', 'taken');
    await group(a.here, 'taken');
    const canaries = [new Node({ in: 'taken', canary: 'x' }), new Node({ in: 'taken', canary: 'x' })];
    const others = [new Node({ in: 'taken' }), new Node({ in: 'taken' })];
    const rowsAt = async (nodes: readonly Node[], rows: number) => {
      for (const node of nodes) await expect.poll(() => node.now?.tables.services?.rows, PATIENCE).toBe(rows);
    };
    const connect = async (nodes: readonly Node[]) => {
      for (const node of nodes) await node.connect(a);
    };
    await connect([...canaries, ...others]);
    await rowsAt([...canaries, ...others], 1);
    const release = async (name: string, hold: number, min_requests: number | null) => {
      await service(a.here, `${name}-taken`, 'taken');
      const strategy = readStrategy([{ nodes: { labels: 'canary' }, hold, gates: { min_requests } }, { hold: 3600 }]);
      return a.desk.create('taken', strategy, null);
    };
    const leave = (nodes: readonly Node[]) => {
      for (const node of nodes) node.leave();
    };
    const waits = (id: string, gone: number) =>
      expect.poll(async () => {
        const figures = await a.desk.figures(await current(a, id));
        return figures?.nodes_gone === gone ? figures.waits_for : figures;
      }, PATIENCE);
    const lost = '2 of 2 data planes that left (max_gone_increase)';

    // One of two, as when it is replaced by another.
    const second = await release('second', 0, 10);
    await rowsAt(canaries, 2);
    leave(canaries.slice(1));
    await waits(second.id, 1).toEqual(['0 of 10 requests (min_requests)']);
    const [staying = expect.fail('there is none')] = canaries;
    await tell(a, staying, { serial: second.serial, status: 2, requests: 10 });
    await rowsAt(others, 2);
    await connect(canaries);
    await a.desk.order(await current(a, second.id), 'promote');
    await rowsAt(canaries, 2);

    // Both, however well they served what they did; until the others are gone as well, as when nobody finds a control plane.
    const third = await release('third', 0, 10);
    await rowsAt(canaries, 3);
    leave(canaries);
    await waits(third.id, 2).toEqual(['0 of 10 requests (min_requests)', lost]);
    await tell(a, staying, { serial: third.serial, status: 2, requests: 10 });
    await waits(third.id, 2).toEqual([lost]);
    const looks = vi.spyOn(a.store.releases, 'current');
    await expect.poll(() => looks.mock.calls.length, PATIENCE).toBeGreaterThan(5);
    expect(await current(a, third.id)).toMatchObject({ state: 'rolling', ring: 0 });
    leave(others);
    await expect.poll(async () => (await current(a, third.id)).ring, PATIENCE).toBe(1);
    await connect([...canaries, ...others]);
    await rowsAt(others, 3);
    await a.desk.order(await current(a, third.id), 'promote');

    // One is back, and then gone again; nobody waits for both for ever.
    const fourth = await release('fourth', 3600, null);
    await rowsAt(canaries, 4);
    leave(canaries);
    await waits(fourth.id, 2).toEqual([expect.stringContaining('(hold)'), lost]);
    await connect(canaries.slice(1));
    await waits(fourth.id, 1).toEqual([expect.stringContaining('(hold)')]);
    leave(canaries);
    await waits(fourth.id, 2).toEqual([expect.stringContaining('(hold)'), lost]);
    const b = await controlPlane(0);
    await expect.poll(async () => (await current(b, fourth.id)).state, PATIENCE).toBe('aborted');
    expect((await current(a, fourth.id)).reason).toBe(
      'ring 1: 2 of its 2 data planes left and stayed away, against 0 of the 2 others (max_gone_increase 50)',
    );
    expect(others.flatMap(({ took }) => took.map(({ tables }) => tables.services?.rows))).not.toContain(4);
    await connect(canaries);
    await rowsAt(canaries, 3);
  });

  test('begins at its time, whoever is there then, and undoes by order what a ring has', async () => {
    const [a, b] = [await controlPlane(), await controlPlane()];
    await service(a.here, 'one', 'later');
    await group(a.here, 'later');
    const node = new Node({ in: 'later' });
    await node.connect(b);
    await expect.poll(() => node.now?.tables.services?.rows, PATIENCE).toBe(1);
    await service(a.here, 'two', 'later');
    const all = readStrategy([{ hold: 3600 }]);
    const scheduled = await a.desk.create('later', all, Date.now() / 1000 + 3600);
    // What is written after it was made is not in it.
    await service(a.here, 'three', 'later');
    await a.stop();
    expect((await current(b, scheduled.id)).state).toBe('scheduled');
    // An hour goes by.
    const { pg_host: host, pg_port: port, pg_user: user, pg_database: database } = server.settings();
    const client = new Client({ host, port, user, database });
    await client.connect();
    onTestFinished(() => client.end());
    await client.query('UPDATE releases SET at = now() WHERE id = $1', [scheduled.id]);
    await expect.poll(() => node.now?.tables.services?.rows, PATIENCE).toBe(2);
    await b.desk.order(await current(b, scheduled.id), 'abort');
    await expect.poll(() => node.now?.tables.services?.rows, PATIENCE).toBe(1);
    expect((await current(b, scheduled.id)).reason).toBe('by order');
  });
});

/** Has a data plane tell of requests that it served. */
function tell(
  { store }: Pick<Awaited<ReturnType<typeof controlPlane>>, 'store'>,
  { id: node }: Node,
  { serial, status, requests }: { readonly serial: number; readonly status: number; readonly requests: number },
) {
  const buckets = new Array<number>(BUCKETS).fill(0);
  buckets[bucketOf(20)] = requests;
  const latencies = { buckets, sum: requests * 20 };
  const key = { dimension: 'serial', subject: String(serial), service: '', status, source: 'service' } as const;
  const batch = { node, stream: crypto.randomUUID(), number: 1, from: 0, until: 0, bounded: 0, dropped: 0 };
  const series = [{ ...key, request: latencies, upstream: latencies }];
  return store.telemetry.keep([{ batch: { ...batch, series }, age: 0 }]);
}

async function current({ desk }: { readonly desk: ReleaseDesk }, id: string) {
  return (await desk.get(id)) ?? expect.fail(`release ${id} is gone`);
}

describe('percentages of data planes', () => {
  test('are near what was asked for, grow without letting anyone go, and are others for another release', () => {
    const nodes = Array.from({ length: 10_000 }, (_, n) => ({ id: `node-${n}`, labels: {}, capabilities: [] }));
    const chosen = (release: string, percent: number) => {
      const shareOf = sharesOf(release, readStrategy([{ nodes: { percent } }]), 0);
      return new Set(nodes.filter((node) => shareOf(node) === 'all'));
    };
    const [five, twenty] = [chosen('r', 5), chosen('r', 20)];
    expect(Math.abs(five.size - 500)).toBeLessThan(100);
    expect([...five].every((node) => twenty.has(node))).toBe(true);
    expect([...chosen('another', 5)].filter((node) => five.has(node)).length).toBeLessThan(100);
  });
});

describe('traffic', () => {
  const ring = (traffic: unknown) => ({ traffic });
  test.each<[unknown, string, string]>([
    [[ring({ percent: 5 })], 'strategy[1].traffic.by', 'expected client_ip, consumer, colo or header:<name>'],
    [
      [ring({ percent: 5, by: 'header:a b' })],
      'strategy[1].traffic.by',
      'expected client_ip, consumer, colo or header:<name>',
    ],
    [[ring({ by: 'colo' })], 'strategy[1].traffic.percent', 'expected a number between 0 and 100'],
    [[ring({ percent: 101, by: 'colo' })], 'strategy[1].traffic.percent', 'expected a number between 0 and 100'],
    [[ring({ percent: 5, by: 'colo', of: 1 })], 'strategy[1].traffic.of', 'unknown field; there are percent, by'],
    [[ring([])], 'strategy[1].traffic', 'expected a record'],
    [
      [ring(null), ring({ percent: 5, by: 'client_ip' }), ring({ percent: 20, by: 'header:X-User' })],
      'strategy[3].traffic.by',
      'expected client_ip, as in strategy[2]: by anything else, requests that have the release would lose it',
    ],
  ])('that is none is refused where it stands: %j', (strategy, field, fault) => {
    expect(() => readStrategy(strategy)).toThrow(expect.objectContaining({ field, message: fault }));
  });

  test('a data plane has the most that the rings reached give it, if it is able to', () => {
    const rings = readStrategy([
      { nodes: { labels: 'canary' }, traffic: { percent: 20, by: 'header:X-User' } },
      { traffic: { percent: 5, by: 'header:x-user' } },
      { nodes: { labels: 'canary' } },
    ]);
    const shares = (labels: Record<string, string>, capabilities: readonly string[]) =>
      rings.map((_, at) => sharesOf('r', rings, at)({ id: 'n', labels, capabilities }));
    const of = (percent: number) => ({ percent, by: 'header:x-user' });
    expect(shares({ canary: 'x' }, ['traffic_split'])).toEqual([of(20), of(20), 'all']);
    expect(shares({}, ['traffic_split'])).toEqual(['none', of(5), of(5)]);
    expect(shares({ canary: 'x' }, [])).toEqual(['unable', 'unable', 'all']);
    const byAddress = readStrategy([{ traffic: { percent: 5, by: 'client_ip' } }]);
    expect(sharesOf('r', byAddress, 0)({ id: 'n', labels: {}, capabilities: ['traffic_split'] })).toBe('unable');
  });
});
