import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { until } from '../../until.ts';
import { NodeFixture } from '../node-fixture.ts';

let fixture: NodeFixture;

beforeEach(async () => {
  fixture = await NodeFixture.create(startWorkerdHost);
  await fixture.start();
  await fixture.controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'good' }] } }, { serial: 7 });
  await fixture.controlPlane.heard('applied', ({ serial }) => serial === 7);
  await fixture.stop();
});

afterEach(() => fixture.remove());

/** Fills every database of a namespace with what is none, and takes the log they could be mended from; returns their paths. */
function ruin(namespace: string): string[] {
  const folder = join(fixture.prefix, 'durable-objects', namespace);
  const names = readdirSync(folder);
  for (const name of names) {
    if (name.endsWith('.sqlite')) writeFileSync(join(folder, name), 'garbage '.repeat(2000));
    else rmSync(join(folder, name));
  }
  return names.filter((name) => name.endsWith('.sqlite')).map((name) => join(folder, name));
}

test('what the link remembered is damaged: the cache serves, and still nothing older is taken', async () => {
  const { controlPlane, log } = fixture;
  await controlPlane.stop();
  const ruined = ruin('holdfast-cluster-link');
  expect(ruined.length).toBeGreaterThanOrEqual(2);

  await fixture.start();
  expect(await fixture.routes()).toEqual(['good']);
  for (const file of ruined)
    expect(log.join('\n')).toContain(`${file} is damaged (file is not a database) and was moved`);

  const from = controlPlane.messages.length;
  await controlPlane.start();
  await controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'older' }] } }, { serial: 6 });
  const { reason } = await controlPlane.heard('rejected', () => true, from);
  expect(reason).toMatch(/serial 6 is older than serial 7/);
  expect(await fixture.routes()).toEqual(['good']);
});

test('the cache is damaged: requests are refused, not answered "no route", until the control plane is back', async () => {
  const { controlPlane, log } = fixture;
  await controlPlane.stop();
  const [file] = ruin('holdfast-kv');

  await fixture.start();
  expect(await fixture.routes()).toBe(503);
  expect(log.join('\n')).toContain(`${file} is damaged`);

  await controlPlane.start();
  await until(async () => JSON.stringify(await fixture.routes()) === '["good"]');
});
