import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RunningControlPlane, runControlPlane } from '../cp/running-control-plane.ts';
import { admin } from '../e2e/processes.ts';
import { runDeck } from './deck.ts';

let plane: RunningControlPlane;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-deck-'));
  plane = await runControlPlane();
});
afterAll(async () => {
  await plane?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const deck = (...words: readonly string[]) => runDeck(plane.admin, folder, ...words);

function file(name: string, port: number, extra = ''): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    `_format_version: "3.0"
services:
- name: orders
  host: orders.test
  port: ${port}
  protocol: http
  tags: [shop]
  routes:
  - name: orders
    paths: [/orders]
    plugins:
    - name: rate-limiting
      config: { minute: 5, policy: local }
${extra}consumers:
- username: ada
  keyauth_credentials:
  - key: open-sesame
`,
  );
  return path;
}

const NOTHING = /Created: 0\n\s*Updated: 0\n\s*Deleted: 0/;
const pending = async () => (await admin(`${plane.admin}/groups/default/pending`)).data;

it('sees what it wrote, whether a group publishes at once or by releases: nothing is different, and what is not released is pending', async () => {
  // At once: nobody notices that there are groups.
  const first = file('first.yml', 80);
  const made = await deck('sync', first);
  expect(made.code, made.output).toBe(0);
  expect(made.output).toMatch(/Created: [1-9]/);
  expect(await deck('diff', first, '--non-zero-exit-code')).toMatchObject({
    code: 0,
    output: expect.stringMatching(NOTHING),
  });

  await admin(`${plane.admin}/groups/default`, 'PUT', { publish: 'release' });
  expect(await pending()).toEqual([]);
  expect((await deck('diff', first, '--non-zero-exit-code')).code).toBe(0);

  const second = file('second.yml', 8080, '  - name: more\n    paths: [/more]\n');
  expect(await deck('diff', second, '--non-zero-exit-code')).toMatchObject({ code: 2 });
  const written = await deck('sync', second);
  expect(written.code, written.output).toBe(0);
  expect(written.output).toMatch(/Created: 1\n\s*Updated: 1\n\s*Deleted: 0/);
  expect(await deck('diff', second, '--non-zero-exit-code')).toMatchObject({
    code: 0,
    output: expect.stringMatching(NOTHING),
  });
  const waiting = await pending();
  expect(waiting).toHaveLength(2);
  expect(waiting).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        entity: 'services',
        name: 'orders',
        operation: 'update',
        fields: { port: { from: 80, to: 8080 } },
      }),
      expect.objectContaining({ entity: 'routes', name: 'more', operation: 'create' }),
    ]),
  );

  // Nor is a dump anything but what is written, while a release is at a ring, and when it was undone.
  const release = await admin(`${plane.admin}/releases`, 'POST', { group: 'default', strategy: [{ hold: 3600 }] });
  expect(release.state).toBe('rolling');
  const dump = join(folder, 'dump.yml');
  const dumped = await deck('dump', '-o', dump);
  expect(dumped.code, dumped.output).toBe(0);
  expect((await deck('diff', dump, '--non-zero-exit-code')).code).toBe(0);
  await admin(`${plane.admin}/releases/${String(release.id)}/abort`, 'POST');
  expect((await deck('diff', second, '--non-zero-exit-code')).code).toBe(0);

  // Back to where everything began: what is written is what data planes have.
  expect((await deck('sync', first)).code).toBe(0);
  expect(await pending()).toEqual([]);
});

it('takes all away with a reset, which data planes get when it is released', async () => {
  expect((await deck('reset', '--force')).code).toBe(0);
  const gone = await pending();
  expect(Array.isArray(gone) ? gone.map(({ entity, operation }) => `${operation} ${entity}`).toSorted() : gone).toEqual(
    expect.arrayContaining(['delete routes', 'delete services', 'delete plugins']),
  );
});
