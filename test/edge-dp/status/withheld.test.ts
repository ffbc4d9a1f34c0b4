import { afterEach, beforeEach, expect, it } from 'vitest';
import { startOwnBox, statusUrl } from '../hosts.ts';
import { NodeFixture } from '../node-fixture.ts';

let fixture: NodeFixture;
beforeEach(async () => {
  fixture = await NodeFixture.create(startOwnBox);
});
afterEach(() => fixture.remove());

const get = async (path: string) => {
  const response = await fetch(statusUrl(fixture.node, path));
  return { status: response.status, body: await response.text() };
};

it('a node says at its Status API why it has no newer config, and stays ready', async () => {
  const { controlPlane } = fixture;
  const config = (name: string) => ({ routes: { rows: [{ id: 'r1', name }] } });
  await controlPlane.publish(config('good'));
  const log: string[] = [];
  await fixture.start({ log: (level, message) => void log.push(`${level} ${message}`) });
  await controlPlane.heard('applied');
  expect(await get('/status')).toMatchObject({ body: expect.stringContaining('"configuration_withheld":null') });

  await controlPlane.tell({ type: 'withheld', sync_status: 'plugin_set_incompatible', reason: 'no such plugin' });
  const told = '"configuration_withheld":"no such plugin (plugin_set_incompatible)"';
  await expect.poll(() => get('/status')).toMatchObject({ status: 200, body: expect.stringContaining(told) });
  expect(await get('/status/ready')).toMatchObject({ status: 200, body: expect.stringContaining(told) });
  expect(await fixture.routes()).toEqual(['good']);
  const line = 'warn the control plane withholds config from this node: no such plugin (plugin_set_incompatible)';
  await expect.poll(() => log).toContain(line);

  await controlPlane.publish(config('does-not-compile'));
  await controlPlane.heard('rejected');
  const refused = '"configuration_withheld":"refused by this node: routes r1: does not compile"';
  await expect.poll(() => get('/status')).toMatchObject({ status: 200, body: expect.stringContaining(refused) });

  const { body } = await get('/metrics');
  expect(body).toContain('\nholdfast_config_withheld 1\n');
  expect(body).toContain('\nholdfast_config_refused_total 1\n');
  expect(body).toContain('\nholdfast_config_cache_errors_total 0\n');
  expect(body).toMatch(/^holdfast_config_issued_timestamp_seconds \d{10}$/m);

  await controlPlane.publish(config('better'));
  await controlPlane.heard('applied', ({ serial }) => serial === controlPlane.serial);
  expect((await get('/status')).body).toContain('"configuration_withheld":null');
  expect((await get('/metrics')).body).toContain('\nholdfast_config_withheld 0\n');
});
