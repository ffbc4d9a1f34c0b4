import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadTrustedKeys } from '../../cp/pki/cluster-tls.ts';
import { startNodeHost } from '../../edge-dp/hosts/node/host.ts';
import type { DataPlane } from '../../edge-dp/hosts/options.ts';
import { type RunningControlPlane, runControlPlane } from '../cp/running-control-plane.ts';
import { nodeOptions } from '../edge-dp/hosts.ts';
import { barriers, type ManagerBrowser, overflow, startManagerBrowser } from './manager-page.ts';

let folder: string;
let plane: RunningControlPlane;
const nodes = new Map<string, DataPlane>();
let browser: ManagerBrowser;
let page: Page;

async function startNode(hostname: string): Promise<void> {
  const { settings } = plane;
  const pem = (path: string | null) => readFileSync(path ?? '', 'utf8');
  const cert = pem(settings.cluster_cert);
  const options = nodeOptions(join(folder, hostname.slice(0, 4)), null, {
    hostname,
    labels: { region: hostname.slice(0, 2) },
    controlPlanes: [{ host: '127.0.0.1', port: plane.plane.cluster?.port ?? 0 }],
    clusterTls: { cert, key: pem(settings.cluster_cert_key), ca: cert, serverName: 'kong_clustering' },
    trustedKeys: loadTrustedKeys(settings.bundle_trusted_keys ?? ''),
  });
  nodes.set(hostname, await startNodeHost(options));
}

async function stopNode(hostname: string): Promise<void> {
  await nodes.get(hostname)?.stop(0);
  nodes.delete(hostname);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'manager '));
  plane = await runControlPlane();
  for (const hostname of ['eu-1', 'us-1 <b>"']) await startNode(hostname);
  browser = await startManagerBrowser();
});
afterAll(async () => {
  await browser?.context.close();
  for (const node of nodes.values()) await node.stop(0);
  await plane?.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  page = await browser.context.newPage();
});
afterEach(async () => {
  await page.close();
  expect(browser.complaints).toEqual([]);
});

/** The row of a table that has this name in its first cell. */
const row = (name: string) => page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) });

describe('data planes', () => {
  it('are live, gone when they stop, and live again, on a page that is left alone', async () => {
    await page.goto(`${plane.ui}/data-planes`);
    for (const name of ['eu-1', 'us-1 <b>"']) await row(name).getByText('Live', { exact: true }).waitFor();
    await stopNode('us-1 <b>"');
    await row('us-1 <b>"').getByText('Gone', { exact: true }).waitFor();
    await row('eu-1').getByText('Live', { exact: true }).waitFor();
    await page.getByLabel('Find data planes').fill('region=us');
    await row('eu-1').waitFor({ state: 'detached' });
    expect(new URL(page.url()).searchParams.get('q')).toBe('region=us');
    await startNode('us-1 <b>"');
    await row('us-1 <b>"').getByText('Live', { exact: true }).waitFor();
  });

  it('are told of one by one', async () => {
    await page.goto(`${plane.ui}/data-planes`);
    await page.getByRole('link', { name: 'eu-1', exact: true }).click();
    await page.getByRole('heading', { name: 'eu-1' }).waitFor();
    await page.getByText('region=eu').waitFor();
    await page.getByText('key-auth', { exact: true }).waitFor();
    await page.goto(`${plane.ui}/data-planes/2f0a5c1e-54a6-4b43-8a70-6d1f0e7d2c11`);
    await page.getByText('There is no such data plane').waitFor();
  });
});

describe('every page', () => {
  it.each(['light', 'dark'] as const)(
    'can be used by everybody, at both widths, in the %s theme',
    async (colorScheme) => {
      await page.emulateMedia({ colorScheme });
      for (const path of ['/', '/data-planes', '/no-such-page']) {
        for (const width of [1280, 400]) {
          await page.setViewportSize({ width, height: 800 });
          await page.goto(plane.ui + path);
          await page.getByRole('heading', { level: 1 }).first().waitFor();
          await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' });
          expect(await barriers(page), `${path} at ${width}`).toEqual([]);
          expect(await overflow(page), `${path} at ${width}`).toBe(0);
        }
      }
    },
  );
});
