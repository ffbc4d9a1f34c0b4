import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { until } from '../../until.ts';
import { NodeFixture } from '../node-fixture.ts';

describe.each([
  {
    host: 'workerd',
    start: startWorkerdHost,
    link: ['durable-objects', 'holdfast-cluster-link'],
    kv: ['durable-objects', 'holdfast-kv'],
  },
  { host: 'node', start: startNodeHost, link: ['native', 'storage'], kv: ['native', 'storage', 'kv'] },
])('storage on $host', ({ start, link, kv }) => {
  let fixture: NodeFixture;

  beforeEach(async () => {
    fixture = await NodeFixture.create(start);
    await fixture.start();
    await fixture.controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'good' }] } }, { serial: 7 });
    await fixture.controlPlane.heard('applied', ({ serial }) => serial === 7);
    await fixture.stop();
  });

  afterEach(() => fixture.remove());

  /** Fills every database in a folder with what is none, and takes the log they could be mended from; returns their paths. */
  function ruin(path: readonly string[]): string[] {
    const folder = join(fixture.prefix, ...path);
    const names = readdirSync(folder).filter((name) => name.includes('.sqlite'));
    for (const name of names) {
      if (name.endsWith('.sqlite')) writeFileSync(join(folder, name), 'garbage '.repeat(2000));
      else rmSync(join(folder, name));
    }
    const ruined = names.filter((name) => name.endsWith('.sqlite')).map((name) => join(folder, name));
    expect(ruined).not.toEqual([]);
    return ruined;
  }

  test('what the link remembered is damaged: the cache serves, and still nothing older is taken', async () => {
    const { controlPlane, log } = fixture;
    await controlPlane.stop();
    const ruined = ruin(link);

    await fixture.start();
    expect(await fixture.routes()).toEqual(['good']);
    for (const file of ruined)
      await expect.poll(() => log.join('\n')).toContain(`${file} is damaged (file is not a database) and was moved`);

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
    const [file] = ruin(kv);

    await fixture.start();
    expect(await fixture.routes()).toBe(503);
    await expect.poll(() => log.join('\n')).toContain(`${file} is damaged`);

    await controlPlane.start();
    await until(async () => JSON.stringify(await fixture.routes()) === '["good"]');
  });
});
