import { createHash } from 'node:crypto';
import { afterEach, expect } from 'vitest';
import { createPublisher, type Publisher, type PublisherOptions } from '../../../cp/publisher/publisher.ts';
import type { PublishedTable } from '../../../cp/publisher/travel.ts';
import type { ChangeFeed } from '../../../cp/store/store.ts';
import type { BundleRow, Manifest } from '../../../shared/bundle/format.ts';
import { spreadValue } from '../../../shared/bundle/lookup.ts';
import { parseTableIndex, parseTableObject } from '../../../shared/bundle/object.ts';
import { generateSigningKey } from '../../../shared/bundle/signing.ts';
import { placeOf } from '../../../shared/bundle/spread.ts';
import { verifyManifest, verifyObject } from '../../../shared/bundle/verification.ts';

const { key } = await generateSigningKey();
const EAGER = { mode: 'eager' } as const;
const TABLES: readonly PublishedTable[] = [
  { name: 'services', bundle: EAGER, ttl: false },
  { name: 'routes', bundle: EAGER, ttl: false },
  { name: 'plugins', bundle: EAGER, ttl: false },
  { name: 'consumers', bundle: { mode: 'lazy', lookup: 'username' }, ttl: false },
  { name: 'keyauth_credentials', bundle: { mode: 'lazy', lookup: 'key', hashed: ['key'] }, ttl: true },
];

const running: Publisher[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((publisher) => publisher.stop()));
});

/** A publisher over the feed, stopped with the test, and the lines it logged. */
export async function start(feed: ChangeFeed, options: Partial<PublisherOptions> = {}) {
  const lines: string[] = [];
  const publisher = await createPublisher({
    feed,
    tables: TABLES,
    pluginVersion: (name) => (name === 'unheard-of' ? undefined : '3.9.3'),
    signingKey: key,
    log: (level, message) => lines.push(`${level} ${message}`),
    ...options,
  });
  running.push(publisher);
  return { publisher, lines };
}

/** Reads the newest release as a data plane does, checking everything a data plane checks. */
export async function receive(publisher: Publisher): Promise<Map<string, BundleRow[]>> {
  const manifest = await verifyManifest(publisher.current().jws, {
    trustedKeys: [key.publicKey],
    cluster: key.cluster,
    group: 'default',
    highestSerial: null,
    now: 0,
  });
  return rowsOf(publisher, manifest);
}

/** The ids of a manifest's rows, by table. */
export async function rowsIn(publisher: Publisher, manifest: Manifest): Promise<Record<string, readonly string[]>> {
  const tables = await rowsOf(publisher, manifest);
  return Object.fromEntries([...tables].map(([table, rows]) => [table, ids(rows)]));
}

/** The object of a manifest that a row of routes is in. */
export async function objectOfRoute(publisher: Publisher, manifest: Manifest, id: string): Promise<string | null> {
  const index = parseTableIndex(await read(publisher, manifest.tables.routes?.index ?? '', 4 << 20), 'routes');
  return index.objects[placeOf(id, index.bits)]?.name ?? null;
}

async function rowsOf(publisher: Publisher, manifest: Manifest): Promise<Map<string, BundleRow[]>> {
  const tables = new Map<string, BundleRow[]>();
  for (const [table, ref] of Object.entries(manifest.tables)) {
    const index = parseTableIndex(await read(publisher, ref.index, 4 << 20), table);
    const rows: BundleRow[] = [];
    const objects = new Map(index.objects.flatMap((object) => (object === null ? [] : [[object.name, object.size]])));
    for (const [name, size] of objects) {
      for (const row of parseTableObject(await read(publisher, name, size), table).rows) {
        expect(index.objects[placeOf(spreadValue(row, index.key), index.bits)]?.name).toBe(name);
        rows.push(row);
      }
    }
    expect(rows).toHaveLength(ref.rows);
    tables.set(
      table,
      rows.sort((a, b) => (a.id < b.id ? -1 : 1)),
    );
  }
  return tables;
}

function read(publisher: Publisher, name: string, limit: number) {
  const object = publisher.object(name);
  if (object === undefined) throw new Error(`${name} is not served`);
  return verifyObject(name, object.gzip, limit);
}

/** A row of a route's usual size. */
export function route(id: number, service: string | null = null): BundleRow {
  return {
    id: `route-${String(id).padStart(6, '0')}`,
    name: `name-${id}`,
    service: service === null ? null : { id: service },
    paths: [`/path/${createHash('sha256').update(String(id)).digest('hex')}`],
    hosts: null,
    methods: null,
    tags: null,
    protocols: ['http', 'https'],
    strip_path: true,
    preserve_host: false,
    regex_priority: 0,
    path_handling: 'v0',
    https_redirect_status_code: 426,
    request_buffering: true,
    response_buffering: true,
    created_at: 1700000000,
    updated_at: 1700000000,
  };
}

export const ids = (rows: readonly BundleRow[] | undefined) => (rows ?? []).map((row) => row.id);
