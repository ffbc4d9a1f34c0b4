import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ConfigChanges } from '../../../edge-dp/config/changes.ts';
import { shortTurn, updateInSlices } from '../../../edge-dp/config/update-in-slices.ts';
import type { RequestPath } from '../../../edge-dp/proxy/request-path.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import { type ProxyNode, route, service, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);
const ids = (rows: readonly BundleRow[]) => rows.map(({ id }) => id);

/** A request path that holds rows and, as the real one, refuses a route without its service. */
class Rows implements RequestPath {
  readonly services: ReadonlyMap<string, BundleRow>;
  readonly routes: ReadonlyMap<string, BundleRow>;
  /** Rows of each update that made it. */
  readonly sizes: readonly number[];

  constructor(services: Rows['services'], routes: Rows['routes'], sizes: readonly number[]) {
    this.services = services;
    this.routes = routes;
    this.sizes = sizes;
  }

  update(changes: ConfigChanges): Rows {
    const services = applied(this.services, changes.get('services'));
    const routes = applied(this.routes, changes.get('routes'));
    for (const { id, service } of routes.values()) {
      if (!services.has(Object(service).id)) throw new Error(`route ${id} has no service`);
    }
    const size = ['services', 'routes'].map((table) => {
      const { upserts = [], deletes = [] } = changes.get(table) ?? {};
      return upserts.length + deletes.length;
    });
    return new Rows(services, routes, [...this.sizes, Math.max(...size)]);
  }

  serverCertificate(): null {
    return null;
  }

  foresee(): never {
    throw new Error('not asked');
  }

  beginTls(): null {
    return null;
  }

  openSession(): null {
    return null;
  }

  get balancers(): never {
    throw new Error('not asked');
  }
  settle(): void {}
  readonly plans = [];
  onTrial(): this {
    return this;
  }
  clientIp(): string {
    return '';
  }
  async claimant(): Promise<null> {
    return null;
  }
  readonly shownMetrics = { counts: false, upstreamHealth: false };

  finish(): number {
    return 0;
  }
  explain(): never {
    throw new Error('not asked');
  }
  handle(): never {
    throw new Error('not asked');
  }
}

function applied(rows: ReadonlyMap<string, BundleRow>, changes: ReturnType<ConfigChanges['get']>) {
  const next = new Map(rows);
  for (const id of changes?.deletes ?? []) next.delete(id);
  for (const row of changes?.upserts ?? []) next.set(row.id, row);
  return next;
}

async function inSlices(from: Rows, changes: ConfigChanges): Promise<Rows> {
  const updated = await updateInSlices(from, changes);
  if (!(updated instanceof Rows)) throw new Error('another path');
  return updated;
}

/** Services and routes of a large config, and of the one that replaces most of it. */
function configs(port: number) {
  const to = (n: number) => service(n, port, { path: `/s${n}` });
  const from = (n: number, to: number) => route(10_000 + n, `/r${n}/`, to);
  return {
    first: { services: range(0, 1200).map(to), routes: range(0, 1600).map((n) => from(n, n % 1200)) },
    // Services went; of their routes some went with them, and some moved to services that stayed or came.
    second: {
      services: range(600, 1800).map(to),
      routes: [
        ...range(0, 600).map((n) => from(n, 1150 + n)),
        ...range(600, 1200)
          .filter((n) => n % 2 === 1)
          .map((n) => from(n, n)),
      ],
    },
  };
}

describe('a large change of config', () => {
  const { first, second } = configs(80);
  const empty = new Rows(new Map(), new Map(), []);
  const changes = (config: typeof first, before: typeof first): ConfigChanges =>
    new Map(
      (['services', 'routes'] as const).map((table) => {
        const kept = new Set(ids(config[table]));
        return [table, { upserts: config[table], deletes: ids(before[table]).filter((id) => !kept.has(id)) }];
      }),
    );

  it('comes to the same as at once, and is compiled a part at a time', async () => {
    const one = await inSlices(empty, changes(first, { services: [], routes: [] }));
    expect([one.services.size, one.routes.size]).toEqual([1200, 1600]);
    const two = await inSlices(one, changes(second, first));
    expect([...two.services.keys()].toSorted()).toEqual(ids(second.services).toSorted());
    expect([...two.routes.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual(second.routes);
    expect(Math.max(...two.sizes.slice(0, -1))).toBe(500);
  });

  it('lets others go on between two parts while nothing is served yet, and waits for no timer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    let turns = 0;
    let others = setImmediate(function next() {
      turns += 1;
      others = setImmediate(next);
    });
    try {
      const whole = await updateInSlices(empty, changes(first, { services: [], routes: [] }), shortTurn);
      expect(whole).toBeInstanceOf(Rows);
      expect(turns).toBeGreaterThan(5);
    } finally {
      clearImmediate(others);
      vi.useRealTimers();
    }
  });

  it('is refused when a part is', async () => {
    await expect(inSlices(empty, changes({ ...first, services: [] }, { services: [], routes: [] }))).rejects.toThrow(
      'has no service',
    );
  });

  it('is one update when it is small', async () => {
    const small = { services: first.services.slice(0, 3), routes: first.routes.slice(0, 3) };
    expect((await inSlices(empty, changes(small, { services: [], routes: [] }))).sizes).toEqual([3]);
  });
});

describe('a node whose config is replaced by another large one', () => {
  let upstream: Upstream;
  let node: ProxyNode;
  beforeAll(async () => {
    upstream = await startUpstream();
    node = await startProxyNode(configs(upstream.port).first);
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
  });

  const asked = async (path: string): Promise<string> => {
    upstream.seen.length = 0;
    const { status } = await fetch(node.url + path);
    return `${status} ${upstream.seen[0]?.line}`;
  };

  it('serves what is in the new one, and nothing else of the old one', async () => {
    expect(await asked('/r0/x')).toBe('200 GET /s0/x HTTP/1.1');
    expect(await asked('/r1599/x')).toBe('200 GET /s399/x HTTP/1.1');
    const { services, routes } = configs(upstream.port).second;
    await node.controlPlane.publish({ services: { rows: services }, routes: { rows: routes } });
    await expect.poll(() => asked('/r0/x')).toBe('200 GET /s1150/x HTTP/1.1');
    expect(await asked('/r599/x')).toBe('200 GET /s1749/x HTTP/1.1');
    expect(await asked('/r601/x')).toBe('200 GET /s601/x HTTP/1.1');
    for (const gone of ['/r600/x', '/r1599/x']) expect(await asked(gone)).toBe('404 undefined');
  });

  it('takes the routes of a service out that is switched off, and in again when it is switched on', async () => {
    const { services, routes } = configs(upstream.port).second;
    const off = services.map((row, n) => (n === 1 ? { ...row, enabled: false } : row));
    await node.controlPlane.publish({ services: { rows: off }, routes: { rows: routes } });
    await expect.poll(() => asked('/r601/x')).toBe('404 undefined');
    expect(await asked('/r603/x')).toBe('200 GET /s603/x HTTP/1.1');
    await node.controlPlane.publish({ services: { rows: services }, routes: { rows: routes } });
    await expect.poll(() => asked('/r601/x')).toBe('200 GET /s601/x HTTP/1.1');
  });
});
