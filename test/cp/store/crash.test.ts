import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore, type StoreSettings } from '../../../cp/store/open.ts';
import { once } from '../../once.ts';
import { type PostgresServer, startPostgres } from '../../postgres-server.ts';
import { onBothDrivers } from './drivers.ts';

const ROUNDS = 3;
/** Milliseconds; every round starts processes. */
const TIMEOUT = 120_000;

/** Runs a writer until it has acknowledged `enough` writes, then does `crash`; gives all it acknowledged. */
async function writeUntil(
  settings: StoreSettings,
  round: string,
  enough: number,
  crash: (pid: number) => Promise<void>,
) {
  const writer = spawn(
    process.execPath,
    [join(import.meta.dirname, 'crash-writer.ts'), JSON.stringify(settings), round],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const ended = new Promise((resolve) => writer.once('close', resolve));
  const acknowledged: string[] = [];
  let crashing: Promise<void> | undefined;
  for await (const line of createInterface({ input: writer.stdout })) {
    acknowledged.push(line);
    if (acknowledged.length >= enough) crashing ??= crash(writer.pid ?? 0);
  }
  await ended;
  await crashing;
  return acknowledged;
}

async function expectAll(settings: StoreSettings, acknowledged: readonly string[]): Promise<void> {
  const store = await openStore(settings);
  const here = await store.workspace('default');
  const lost: string[] = [];
  for (const value of acknowledged) {
    if ((await here?.entity('consumers').select({ field: 'username', value })) == null) lost.push(value);
  }
  const delta = await store.changes.delta(0);
  await store.close();
  expect(lost).toEqual([]);
  expect(delta?.changes.map(({ serial }) => serial)).toEqual(delta?.changes.map((_, index) => index + 1));
  expect(delta?.changes.length).toBeGreaterThanOrEqual(acknowledged.length);
}

onBothDrivers('a store whose process is killed', (backend) => {
  test(
    'has every acknowledged write, and opens at once',
    async () => {
      const settings = await backend.fresh();
      await (await openStore(settings, { migrate: true })).close();
      const acknowledged: string[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const more = await writeUntil(settings, `r${round}`, 20 + Math.floor(Math.random() * 80), async (pid) => {
          process.kill(pid, 'SIGKILL');
        });
        expect(more.length).toBeGreaterThan(0);
        acknowledged.push(...more);
      }
      await expectAll(settings, acknowledged);
    },
    TIMEOUT,
  );
});

test(
  'an embedded database that was killed while it was made is made again',
  async () => {
    const prefix = mkdtempSync(join(tmpdir(), 'holdfast-prefix-'));
    const settings: StoreSettings = { database: 'embedded', prefix };
    const maker = spawn(process.execPath, [join(import.meta.dirname, 'crash-writer.ts'), JSON.stringify(settings), '']);
    await expect.poll(() => existsSync(join(prefix, 'pgdata.new', 'PG_VERSION')), { timeout: TIMEOUT }).toBe(true);
    maker.kill('SIGKILL');
    await once(maker, 'exit');
    await (await openStore(settings, { migrate: true })).close();
    rmSync(prefix, { recursive: true, force: true });
  },
  TIMEOUT,
);

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

test(
  'a server that is killed has every acknowledged write, and the store finds it again by itself, with a word at each end',
  async () => {
    const settings = server.settings();
    const log: string[] = [];
    const watching = await openStore(settings, {
      migrate: true,
      log: (level, message) => log.push(`${level} ${message}`),
    });
    let woken = 0;
    watching.changes.subscribe(() => {
      woken += 1;
    });
    const acknowledged = await writeUntil(settings, 'server', 50, async () => {
      await server.kill();
    });
    expect(await watching.condition(5_000)).toMatchObject({
      reachable: false,
      reason: expect.stringContaining('refused'),
    });
    await server.start();
    await expectAll(settings, acknowledged);
    expect(await watching.condition(5_000)).toMatchObject({ reachable: true });
    const here = await watching.workspace('default');
    const before = woken;
    await expect
      .poll(
        async () => {
          await here?.entity('consumers').insert({ username: crypto.randomUUID() });
          await pause(50);
          return woken;
        },
        { timeout: 60_000 },
      )
      .toBeGreaterThan(before);
    // Housekeeping, once a minute, may have met the server's absence, too.
    await expect
      .poll(() => log.filter((line) => line.includes('listening for changes')))
      .toEqual([
        expect.stringMatching(/^error listening for changes of the database fails and is tried again: ./),
        'info listening for changes of the database works again',
      ]);
    await watching.close();
  },
  TIMEOUT,
);
