import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isRecord } from '../../shared/record.ts';
import { runControlPlane } from '../cp/running-control-plane.ts';
import { peerExecutable } from './peer.ts';

const run = promisify(execFile);
const page = (name: string): string => fileURLToPath(new URL(`../../docs/grafana/${name}`, import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast promtool '));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const check = async (file: string): Promise<string> =>
  (await run(peerExecutable('promtool'), ['check', 'rules', file])).stdout;

it('reads the alert rules', async () => {
  expect(await check(page('alerts.yml'))).toContain('SUCCESS: 17 rules found');
});

it('finds nothing to say about the metrics of a control plane', async () => {
  const plane = await runControlPlane({ status_listen: '127.0.0.1:0' });
  const file = join(folder, 'metrics');
  try {
    await writeFile(file, await (await fetch(`${plane.status}/metrics`)).text());
  } finally {
    await plane.stop();
  }
  const checked = await run('/bin/sh', ['-c', '"$0" check metrics < "$1"', peerExecutable('promtool'), file]);
  expect(checked).toEqual({ stdout: '', stderr: '' });
});

it('reads every query of the dashboard', async () => {
  const dashboard: unknown = JSON.parse(await readFile(page('dashboard.json'), 'utf8'));
  if (!isRecord(dashboard) || !Array.isArray(dashboard.panels)) throw new Error('there are no panels');
  const targets = dashboard.panels.flatMap((panel) =>
    isRecord(panel) && Array.isArray(panel.targets) ? panel.targets : [],
  );
  const rules = targets.map((target, n) => {
    if (!isRecord(target)) throw new Error('a panel without a query');
    // What Grafana puts in before it asks.
    const query = String(target.expr)
      .replaceAll('$__rate_interval', '5m')
      .replaceAll(/\$(service|route)/g, '.*');
    return { record: `panel:query:${n}`, expr: query };
  });
  const file = join(folder, 'queries.yml');
  await writeFile(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
  expect(await check(file)).toContain(`SUCCESS: ${rules.length} rules found`);
});
