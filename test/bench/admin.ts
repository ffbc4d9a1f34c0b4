import { rmSync } from 'node:fs';

import type { StoreSettings } from '../../cp/store/open.ts';
import { admin, createCluster } from '../e2e/processes.ts';
import { freshPrefix } from '../embedded-database.ts';
import { startPostgres } from '../postgres-server.ts';
import { pin } from './cores.ts';
import { type Load, listening, load, median, rate, say } from './processes.ts';

/** The Admin API against bare HTTP, JSON and one statement on the same kind of database, in the same run. */
export interface AdminNumbers {
  readonly scenario: string;
  readonly driver: string;
  /** Requests per second; for the import, seconds. */
  readonly ours: number;
  readonly bare: number;
  /** How near it comes to the bare thing: 1 is as fast. */
  readonly ratio: number;
  readonly errors: number;
}

export const ADMIN_SCENARIOS = ['admin write', 'admin get', 'admin list', 'admin import'] as const;
type Scenario = (typeof ADMIN_SCENARIOS)[number];

interface AdminOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly wanted: (scenario: string) => boolean;
}

const CONNECTIONS = 10;
const SERVICE = JSON.stringify({ host: 'upstream.example.com', tags: ['bench'] });
const IMPORTED = 10_000;

/** Measures the wanted scenarios on both drivers, each database with the durability it has in production. */
export async function measureAdmin(options: AdminOptions): Promise<AdminNumbers[]> {
  const embedded = await freshPrefix('empty');
  const server = await startPostgres();
  const other = await startPostgres();
  try {
    const { pg_host, pg_port, pg_user, pg_database } = server.settings();
    return [
      ...(await measure('embedded', {}, { database: 'embedded', prefix: embedded }, options)),
      ...(await measure(
        'postgres',
        { database: 'postgres', pg_host, pg_port: String(pg_port), pg_user, pg_database },
        other.settings(),
        options,
      )),
    ];
  } finally {
    await Promise.all([server.stop(), other.stop()]);
    rmSync(embedded, { recursive: true, force: true });
  }
}

async function measure(
  driver: string,
  settings: Readonly<Record<string, string>>,
  bareSettings: StoreSettings,
  { seconds, rounds, wanted }: AdminOptions,
): Promise<AdminNumbers[]> {
  const cluster = await createCluster();
  const bare = await listening('bare-api.ts', [JSON.stringify(bareSettings)], 0);
  if (driver === 'postgres') await cluster.migrations(settings);
  const control = await cluster.controlPlane(settings);
  pin(control.child.pid, 0);
  const ourPort = Number(new URL(control.admin).port);
  const bareUrl = `http://127.0.0.1:${bare.port}`;

  async function compare(scenario: Scenario, path: string, barePath: string, body?: string): Promise<AdminNumbers> {
    const ours: Load[] = [];
    const base: Load[] = [];
    const asked = { connections: CONNECTIONS, seconds, ...(body === undefined ? {} : { body }) };
    for (let round = 0; round < rounds; round++) {
      base.push(await load(bare.port, barePath, asked));
      ours.push(await load(ourPort, path, asked));
      const [own, other] = [rate(ours.at(-1)).toFixed(0), rate(base.at(-1)).toFixed(0)];
      say(`  ${scenario}, ${driver}, round ${round + 1}: ${own} against ${other} requests/s`);
    }
    return {
      scenario,
      driver,
      ours: median(ours.map(rate)),
      bare: median(base.map(rate)),
      ratio: median(ours.map((each, round) => rate(each) / rate(base[round]))),
      errors: [...ours, ...base].reduce((sum, each) => sum + each.errors, 0),
    };
  }

  const results: AdminNumbers[] = [];
  try {
    const { id } = await admin(`${control.admin}/services`, 'POST', JSON.parse(SERVICE));
    const { id: bareId } = await admin(`${bareUrl}/rows`, 'POST', JSON.parse(SERVICE));
    if (wanted('admin write')) results.push(await compare('admin write', '/services', '/rows', SERVICE));
    if (wanted('admin get')) results.push(await compare('admin get', `/services/${id}`, `/rows/${bareId}`));
    if (wanted('admin list')) results.push(await compare('admin list', '/services', '/rows'));
    if (wanted('admin import')) results.push(await compareImport(driver, control.admin, bareUrl));
  } finally {
    await control.end('SIGTERM');
    bare.child.kill('SIGTERM');
    cluster.remove();
  }
  return results;
}

/** `POST /config` of services with a route each, against bare inserts of as many documents in one transaction. */
async function compareImport(driver: string, adminUrl: string, bareUrl: string): Promise<AdminNumbers> {
  const services = Array.from({ length: IMPORTED }, (_, i) => ({
    name: `imported-${i}`,
    url: 'http://upstream.example.com',
    routes: [{ name: `imported-${i}`, paths: [`/imported-${i}`] }],
  }));
  const documents = services.flatMap(({ routes, ...service }) => [service, ...routes]);
  const bare = await secondsOf(() => admin(`${bareUrl}/bulk`, 'POST', documents));
  const ours = await secondsOf(() => admin(`${adminUrl}/config`, 'POST', { _format_version: '3.0', services }));
  say(`  admin import, ${driver}: ${ours.toFixed(1)} s against ${bare.toFixed(1)} s`);
  return { scenario: 'admin import', driver, ours, bare, ratio: bare / ours, errors: 0 };
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}
