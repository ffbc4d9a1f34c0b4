import { afterAll, beforeAll, expect, it } from 'vitest';
import { admin, type ClusterFolder, createCluster, until } from './processes.ts';

const ROUNDS = 3;
const WRITERS = 4;

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

// On a server's database: see chaos.test.ts.
let cluster: ClusterFolder;

beforeAll(async () => {
  cluster = await createCluster();
});

afterAll(() => cluster?.remove());

it('every write that was acknowledged is there after the control plane was killed, again and again', async () => {
  const acknowledged: string[] = [];
  let counter = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const control = await cluster.controlPlane();
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
  const control = await cluster.controlPlane();
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
