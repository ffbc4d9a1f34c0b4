import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { admin } from '../e2e/processes.ts';
import type { PluginScenario } from './plugins.ts';

/** The first is what the others are to be compared with: the same chain without a limit. */
export const LIMIT_SCENARIOS = [
  'limits: key-auth, correlation-id',
  'limits: and rate-limiting, local',
  'limits: and rate-limiting, cluster',
  'limits: and rate-limiting, each request counted singly',
] as const;

const ROUTES = 1_000;
const CONSUMERS = 1_000;

/** A thousand routes and a thousand consumers, whose keys come in turn; made through the Admin API on the service `bench`. */
export async function limitScenarios(
  api: string,
): Promise<{ readonly scenarios: readonly PluginScenario[]; stop(): void }> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast bench '));
  const post = (path: string, body: object) => admin(`${api}${path}`, 'POST', body);
  const keys = Array.from({ length: CONSUMERS }, (_, n) => `limits-${n}`);
  await several(keys, async (key) => {
    await post('/consumers', { username: key });
    await post(`/consumers/${key}/key-auth`, { key });
  });
  const names = Array.from({ length: ROUTES }, (_, n) => `limits-${n}`);
  await several(names, (name) => post('/services/bench/routes', { name, paths: [`/${name}`] }));
  const lines = join(folder, 'keys');
  writeFileSync(lines, keys.map((key) => `apikey: ${key}`).join('\n'));
  const chain: readonly (readonly [string, object])[] = [
    ['key-auth', {}],
    ['correlation-id', {}],
  ];
  const limit = (config: object) => [...chain, ['rate-limiting', config] as const];
  const chains = [
    chain,
    limit({ minute: 100_000, policy: 'local' }),
    limit({ minute: 100_000, policy: 'cluster' }),
    // Limits per second are never leased.
    limit({ second: 100_000, policy: 'local' }),
  ];
  const scenarios: PluginScenario[] = [];
  for (const [place, plugins] of chains.entries()) {
    // One of the thousand, in the middle of them.
    const route = `limits-${ROUTES / 2 + place}`;
    for (const [name, config] of plugins) await post(`/routes/${route}/plugins`, { name, config });
    scenarios.push({
      name: LIMIT_SCENARIOS[place] ?? route,
      path: `/${route}`,
      headers: [],
      probe: `apikey: ${keys.at(-1)}`,
      lines,
    });
  }
  return { scenarios, stop: () => rmSync(folder, { recursive: true, force: true }) };
}

async function several<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let at = next++; at < items.length; at = next++) {
        const item = items[at];
        if (item !== undefined) await work(item);
      }
    }),
  );
}
