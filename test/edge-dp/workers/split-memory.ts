/**
 * Tells what a config of 10,000 services and routes takes, compiled, and what it takes with a second one of which 10 routes are
 * others: bytes of heap as JSON. By itself, so that nothing else is in the way.
 */
import { changesBetween, NO_TABLES, readTables, type Tables } from '../../../edge-dp/config/tables.ts';
import { updateInSlices } from '../../../edge-dp/config/update-in-slices.ts';
import { createRequestPath } from '../../../edge-dp/proxy/create.ts';
import type { RequestPath } from '../../../edge-dp/proxy/request-path.ts';
import type { BundleRow, Bytes, ObjectName, TableRef } from '../../../shared/bundle/format.ts';
import { gunzip, packObject } from '../../../shared/bundle/object.ts';
import { placeOf } from '../../../shared/bundle/spread.ts';
import { PROXY_SETTINGS } from '../proxy-settings.ts';

const COUNT = 10_000;
/** 2^n objects of a table, of about 100 KB each. */
const BITS = 6;
const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** Of Node, which this is run by, with `--expose-gc`. */
declare const gc: () => void;
declare const process: { memoryUsage(): { readonly heapUsed: number } };

function heap(): number {
  for (let times = 0; times < 4; times++) gc();
  return process.memoryUsage().heapUsed;
}

/** Objects by name, as they rest. */
const objects = new Map<ObjectName, Bytes>();
const read = async (name: ObjectName, limit: number): Promise<Bytes> => {
  const gzip = objects.get(name);
  if (gzip === undefined) throw new Error(`no object ${name}`);
  return gunzip(gzip, limit);
};

async function pack(table: string, rows: readonly BundleRow[]): Promise<TableRef> {
  const places = Map.groupBy(rows, (row) => placeOf(row.id, BITS));
  const refs = await Promise.all(
    Array.from({ length: 2 ** BITS }, async (_, place) => {
      const { object, size } = await packObject({ table, rows: places.get(place) ?? [] });
      objects.set(object.name, object.gzip);
      return { name: object.name, size };
    }),
  );
  const { object } = await packObject({ table, key: 'id', hashed: [], bits: BITS, objects: refs });
  objects.set(object.name, object.gzip);
  return { index: object.name, rows: rows.length, mode: 'eager' };
}

/** The tables of a config of which some routes are others. */
async function tablesOf(changed: number): Promise<{ readonly services: TableRef; readonly routes: TableRef }> {
  const every = Array.from({ length: COUNT }, (_, n) => n);
  return {
    services: await pack(
      'services',
      every.map((n) => ({
        id: id(n),
        name: `service-${n}`,
        protocol: 'http',
        host: `host-${n}.test`,
        port: 80,
        path: null,
        tags: null,
        retries: 5,
        enabled: true,
        connect_timeout: 60_000,
      })),
    ),
    routes: await pack(
      'routes',
      every.map((n) => ({
        id: id(n),
        name: `route-${n}`,
        paths: [n < changed ? `/new/${n}` : `/api/${n}`],
        methods: null,
        hosts: [`site-${n % 100}.test`],
        protocols: ['http', 'https'],
        service: { id: id(n) },
        strip_path: true,
        preserve_host: false,
        tags: null,
      })),
    ),
  };
}

async function compiled(tables: TestTables, from: Held): Promise<Held> {
  const next = await readTables({ tables }, from.tables, read);
  return { tables: next, path: await updateInSlices(from.path, changesBetween(from.tables, next)) };
}

type TestTables = Awaited<ReturnType<typeof tablesOf>>;

interface Held {
  readonly tables: Tables;
  readonly path: RequestPath;
}

const [first, second] = [await tablesOf(0), await tablesOf(10)];
const settings = { ...PROXY_SETTINGS, ports: { http: 80, https: null } };
const nothing = (): never => {
  throw new Error('nothing is sent');
};
const path = createRequestPath({ settings, network: { fetch: nothing, connect: nothing } });
const none = heap();
const held: Held[] = [];
const last = (): Held => held.at(-1) ?? { tables: NO_TABLES, path };
held.push(await compiled(first, last()));
const once = heap() - none;
held.push(await compiled(second, last()));
const twice = heap() - none;
console.log(JSON.stringify({ once, twice, held: held.length }));
