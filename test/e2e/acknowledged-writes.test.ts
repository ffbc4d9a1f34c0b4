import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type PostgresServer, startPostgres } from '../postgres-server.ts';
import { admin, type ClusterFolder, createCluster, runHoldfast, until } from './processes.ts';

const ROUNDS = 3;
const WRITERS = 4;

let postgres: PostgresServer;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(() => postgres?.stop());

function databaseSettings(driver: string): Record<string, string> {
  if (driver === 'embedded') return { database: 'embedded' };
  const { pg_host, pg_port, pg_user, pg_database, pg_schema } = postgres.settings('acknowledged');
  return { database: 'postgres', pg_host, pg_port: String(pg_port), pg_user, pg_database, pg_schema };
}

/** Writes consumers until the control plane is gone; returns the names it answered 201 for. */
async function writeUntilKilled(adminUrl: string, names: () => string, enough: () => void): Promise<string[]> {
  const acknowledged: string[] = [];
  for (;;) {
    const username = names();
    try {
      await admin(`${adminUrl}/consumers`, 'POST', { username });
    } catch {
      return acknowledged;
    }
    acknowledged.push(username);
    if (acknowledged.length === 20) enough();
  }
}

describe.each(['embedded', 'postgres'])('on the %s database', (driver) => {
  let cluster: ClusterFolder;

  beforeAll(async () => {
    cluster = await createCluster();
    if (driver === 'postgres') {
      const done = await runHoldfast(['migrations', 'bootstrap'], databaseSettings(driver));
      expect(done).toMatchObject({ code: 0 });
    }
  });

  afterAll(() => cluster?.remove());

  it('every write that was acknowledged is there after the control plane was killed, again and again', async () => {
    const acknowledged: string[] = [];
    let counter = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const control = await cluster.controlPlane(databaseSettings(driver));
      let busy = 0;
      const writers = Array.from({ length: WRITERS }, () =>
        writeUntilKilled(
          control.admin,
          () => `consumer-${counter++}`,
          () => busy++,
        ),
      );
      await until(() => busy === WRITERS, 'writes');
      await control.end('SIGKILL');
      acknowledged.push(...(await Promise.all(writers)).flat());
    }
    const control = await cluster.controlPlane(databaseSettings(driver));
    const found = new Set<unknown>();
    let next: unknown = '/consumers?size=1000';
    while (typeof next === 'string') {
      const page = await admin(`${control.admin}${next}`);
      for (const row of page.data as Record<string, unknown>[]) found.add(row.username);
      next = page.next;
    }
    await control.end('SIGTERM');
    expect(acknowledged.length).toBeGreaterThanOrEqual(ROUNDS * WRITERS * 20);
    expect(acknowledged.filter((name) => !found.has(name))).toEqual([]);
  });
});
