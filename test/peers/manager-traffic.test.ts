import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../cp/listeners/free-port.ts';
import { loadTrustedKeys } from '../../cp/pki/cluster-tls.ts';
import { startNodeHost } from '../../edge-dp/hosts/node/host.ts';
import type { DataPlane } from '../../edge-dp/hosts/options.ts';
import { type RunningControlPlane, runControlPlane } from '../cp/running-control-plane.ts';
import { admin } from '../e2e/processes.ts';
import { nodeOptions, proxyUrl } from '../edge-dp/hosts.ts';
import { barriers, type ManagerBrowser, overflow, startManagerBrowser } from './manager-page.ts';

let folder: string;
let plane: RunningControlPlane;
const nodes = new Map<string, DataPlane>();
let api: Server;
let browser: ManagerBrowser;
let page: Page;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'manager '));
  api = createServer(({ url }, response) => {
    response.statusCode = url === '/broken' ? 500 : 200;
    response.end('orders');
  });
  await new Promise<void>((listening) => api.listen(0, '127.0.0.1', listening));
  const telemetry = { host: '127.0.0.1', port: await freePort() };
  plane = await runControlPlane({ cluster_telemetry_listen: `127.0.0.1:${telemetry.port}` });
  const { settings } = plane;
  const pem = (path: string | null) => readFileSync(path ?? '', 'utf8');
  const cert = pem(settings.cluster_cert);
  for (const hostname of ['eu-1', 'us-1']) {
    const options = nodeOptions(join(folder, hostname), null, {
      hostname,
      labels: { region: hostname.slice(0, 2) },
      controlPlanes: [{ host: '127.0.0.1', port: plane.plane.cluster?.port ?? 0 }],
      clusterTls: { cert, key: pem(settings.cluster_cert_key), ca: cert, serverName: 'kong_clustering' },
      trustedKeys: loadTrustedKeys(settings.bundle_trusted_keys ?? ''),
      telemetry: { endpoints: [telemetry], serverName: 'kong_clustering' },
      proxy: { replaySample: { size: 1000, headers: [] } },
    });
    nodes.set(hostname, await startNodeHost(options));
  }
  browser = await startManagerBrowser();
});
afterAll(async () => {
  await browser?.context.close();
  for (const node of nodes.values()) await node.stop(0);
  await plane?.stop();
  api?.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  page = await browser.context.newPage();
});
afterEach(async () => {
  await page.close();
  expect(browser.complaints).toEqual([]);
});

const button = (name: string | RegExp) => page.getByRole('button', { name, exact: true });
const link = (name: string) => page.getByRole('link', { name, exact: true });
const tab = (name: string) => page.getByRole('tab', { name, exact: true });
const row = (name: string) => page.getByRole('row').filter({ has: page.getByText(name, { exact: true }) });

/** Has a data plane serve so many requests, each answered this. */
async function serve(hostname: string, path: string, status: number, times: number): Promise<void> {
  const node = nodes.get(hostname) ?? expect.fail('no data plane');
  const statusOf = async () => {
    const answer = await fetch(proxyUrl(node, path));
    await answer.body?.cancel();
    return answer.status;
  };
  await expect.poll(statusOf, { message: `${path} at ${hostname}` }).toBe(status);
  for (let time = 1; time < times; time++) expect(await statusOf()).toBe(status);
}

/** Nothing stands in anybody's way on a page as it is now, at both widths in both themes. */
async function expectUsable(): Promise<void> {
  // What is said of whatever happens to be below the pointer is no part of the page.
  await page.mouse.move(0, 0);
  await page.getByRole('tooltip').first().waitFor({ state: 'detached' });
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1280, 400]) {
      await page.setViewportSize({ width, height: 800 });
      await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' });
      expect(await barriers(page), `${colorScheme} at ${width}`).toEqual([]);
      await expect.poll(() => overflow(page), { message: `${colorScheme} at ${width}` }).toBe(0);
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

describe('traffic', () => {
  it('says what to set while nobody tells of any, then whose requests fail, by name, and marks targets', async () => {
    await page.goto(plane.ui);
    await link('Traffic').click();
    await page.getByText('cluster_telemetry_endpoint').waitFor();
    await expectUsable();

    const { port } = api.address() as AddressInfo;
    await admin(`${plane.admin}/upstreams/pool`, 'PUT', {});
    await admin(`${plane.admin}/upstreams/pool/targets`, 'POST', { target: `127.0.0.1:${port}` });
    const { id } = await admin(`${plane.admin}/services/orders`, 'PUT', { host: 'pool' });
    await admin(`${plane.admin}/routes/works`, 'PUT', { service: { id }, paths: ['/works'] });
    await admin(`${plane.admin}/routes/breaks`, 'PUT', { service: { id }, paths: ['/broken'], strip_path: false });
    await admin(`${plane.admin}/routes/known`, 'PUT', { service: { id }, paths: ['/known'] });
    await admin(`${plane.admin}/routes/known/plugins`, 'POST', { name: 'key-auth' });
    await admin(`${plane.admin}/consumers/caller`, 'PUT', {});
    await admin(`${plane.admin}/consumers/caller/key-auth`, 'POST', { key: 'of-caller' });
    await serve('eu-1', '/known?apikey=of-caller', 200, 5);
    await serve('eu-1', '/works', 200, 30);
    await serve('us-1', '/broken', 500, 10);

    await row('works').getByText('0 %', { exact: true }).first().waitFor();
    await row('breaks').getByText('100.0 %', { exact: true }).waitFor();
    await link('breaks').waitFor();
    await button('Only route breaks').click();
    const chart = page.getByRole('slider', { name: 'Requests per second' });
    await expect.poll(() => chart.getAttribute('aria-valuetext')).toMatch(/all 0, 4xx 0, 5xx 0|5xx 0?\.\d+/);
    await chart.focus();
    await page.keyboard.press('Home');
    await expect.poll(() => chart.getAttribute('aria-valuenow')).toBe('0');
    await page.keyboard.press('ArrowRight');
    await expect.poll(() => chart.getAttribute('aria-valuenow')).toBe('1');
    await button('Show all requests').click();
    for (const [by, name] of [
      ['Services', 'orders'],
      ['Status', '5xx'],
      ['Consumers', 'caller'],
      ['Data planes', 'us-1'],
    ] as const) {
      await page.getByRole('radiogroup', { name: 'By' }).getByText(by, { exact: true }).click();
      await row(name).first().waitFor();
    }
    await page.getByRole('radiogroup', { name: 'Time' }).getByText('Last day', { exact: true }).click();
    await row('us-1').waitFor();
    await page.getByRole('slider', { name: 'Requests per second' }).waitFor();
    await page.getByRole('radiogroup', { name: 'Time' }).getByText('Last hour', { exact: true }).click();
    await link('us-1').waitFor();
    await link('Overview').click();
    await page.getByText('Answered 5xx').waitFor();
    await page.getByText(/2 of 2 data planes serve it, published/).waitFor();
    await expectUsable();
    await page.goBack();

    await button('Show targets of pool').click();
    await button(`Mark unhealthy: 127.0.0.1:${port}`).click();
    await page.getByText('Unhealthy at 2 of 2 data planes').waitFor();
    await serve('eu-1', '/works', 503, 1);
    await button(`Mark healthy: 127.0.0.1:${port}`).click();
    await page.getByText('Unhealthy at 2 of 2 data planes').waitFor({ state: 'detached' });
    await serve('eu-1', '/works', 200, 1);
    await expectUsable();

    await page.context().setOffline(true);
    await page.getByText('The control plane does not answer').waitFor();
    expect(await link('us-1').count()).toBe(1);
    await page.context().setOffline(false);
    await page.getByText('The control plane does not answer').waitFor({ state: 'detached' });
  });
});

describe('what was written', () => {
  it('is listed as it happens, and what a data plane made of it is on its page, where a request can be explained', async () => {
    await page.goto(plane.ui);
    await link('Changes').click();
    await page.getByRole('heading', { name: 'Changes' }).waitFor();
    const { id } = await admin(`${plane.admin}/services/written`, 'PUT', { host: 'written.internal' });
    await admin(`${plane.admin}/routes/written`, 'PUT', { service: { id }, paths: ['/written'] });
    await link('written').first().waitFor();
    await page.getByText('127.0.0.1, node', { exact: true }).first().waitFor();
    await expectUsable();
    const { serial } = await admin(`${plane.admin}/groups/default`, 'GET');

    await page.goto(`${plane.ui}/data-planes`);
    await link('us-1').click();
    await page.getByText(`serial ${serial}`, { exact: true }).waitFor();
    await page.getByText('Applied', { exact: true }).first().waitFor();
    await page.getByText('Health of upstreams as it sees them').waitFor();
    await expectUsable();
    await link('Explain a request').click();
    await page.getByLabel('Address', { exact: true }).fill('http://shop.test/written/1');
    await button('Explain').click();
    await page.getByText('http://written.internal:80/').waitFor();
    await link('us-1').waitFor();
    await expectUsable();
  });
});

describe('a replay', () => {
  it('says what would become of requests that were served, and of others, before anybody gets what is written', async () => {
    const { port } = api.address() as AddressInfo;
    // Everything that is published is kept as a release, so that a control plane has none for moments alone.
    const kept = /\/releases\?/;
    await page.route(kept, (route) => route.fulfill({ json: { data: [], next: null } }));
    await page.goto(`${plane.ui}/replay`);
    await page.getByText('There is no release to try').waitFor();
    await expectUsable();
    await page.unroute(kept);
    const { id } = await admin(`${plane.admin}/services/replayed`, 'PUT', { host: '127.0.0.1', port });
    for (const name of ['kept', 'moved'])
      await admin(`${plane.admin}/routes/${name}`, 'PUT', { service: { id }, paths: [`/${name}`] });
    for (const host of ['eu-1', 'us-1']) for (const path of ['/kept', '/moved']) await serve(host, path, 200, 2);
    await admin(`${plane.admin}/groups/default`, 'PUT', { publish: 'release' });
    try {
      await admin(`${plane.admin}/routes/moved`, 'PATCH', { paths: ['/gone'] });
      await admin(`${plane.admin}/routes/kept/plugins`, 'POST', { name: 'correlation-id' });
      await page.goto(`${plane.ui}/releases`);
      await link('See what it would do to requests').click();
      await page.getByRole('heading', { level: 1, name: 'Replay' }).waitFor();
      const replay = page.getByRole('button', { name: 'Replay', exact: true });
      // A data plane tells what it remembers some moments after it was served.
      await expect
        .poll(
          async () => {
            await replay.click();
            await page
              .getByText(/^(What would be different|Nothing would be different|This cannot be told)$/)
              .waitFor();
            return page.getByText(/^GET http:\/\/127\.0\.0\.1:\d+\/(kept|moved)$/).count();
          },
          { message: 'the data plane remembers no request of both routes' },
        )
        .toBe(2);
      await page.getByText('route: moved → none').waitFor();
      await page.getByText('plugins: none → correlation-id').waitFor();
      await expectUsable();
      await page.getByText(/^plugins 2$|^plugins \d+$/).click();
      await page.getByText('route: moved → none').waitFor({ state: 'detached' });
      await page.getByRole('textbox', { name: 'Find requests' }).fill('/moved');
      await page.getByText(/^None of those that are listed/).waitFor();

      await tab('Requests of your own').click();
      const requests = page.getByRole('textbox', { name: 'Requests', exact: true });
      await requests.fill('[{"path": "/gone/<b>", "host": "shop.test"}, {"path": "/kept"');
      await replay.click();
      await page.getByText(/^This begins like JSON and is none/).waitFor();
      await requests.fill(
        '[{"path": "/gone/<b>", "host": "shop.test", "headers": {"x-version": "2"}}, {"path": "/x"}]',
      );
      await replay.click();
      await page.getByText('GET http://shop.test/gone/<b>').waitFor();
      await page.getByText('x-version: 2').waitFor();
      await page.getByText('route: none → moved').waitFor();
      await requests.fill(`{"log": {"version": "1.2", "entries": []}}`);
      await replay.click();
      await page.getByText('This cannot be told').waitFor();
      await requests.fill('10.0.0.1 - - [29/Nov/2026:12:00:00 +0000] "GET /gone HTTP/1.1" 200 5 "-" "curl/8"');
      await page.getByLabel('Host of log lines').fill('logged.test');
      await replay.click();
      await page.getByText('GET http://logged.test/gone').waitFor();
      await expectUsable();
    } finally {
      await admin(`${plane.admin}/groups/default`, 'DELETE');
    }
  });
});

describe('a release', () => {
  it('goes out ring by ring, says what its gates see, and is paused, gone on with, gone back from and compared', async () => {
    await admin(`${plane.admin}/groups/default`, 'PUT', { publish: 'release' });
    try {
      await admin(`${plane.admin}/services/ringed`, 'PUT', { host: 'ringed.internal' });
      await page.goto(`${plane.ui}/releases`);
      await page.getByText('Ring by ring', { exact: true }).click();
      await button('Remove ring 2').click();
      await page.getByLabel('Labels of ring 1').fill('region in (');
      await button('Release it').click();
      await page.getByText(/strategy\[1\]\.nodes\.labels/).waitFor();
      await page.getByLabel('Labels of ring 1').fill('region=eu');
      await page.getByText('Of 1 connected now.').waitFor();
      await page.getByLabel('Percent of ring 1').fill('100');
      await page.getByLabel('Requests of ring 1').fill('50');
      await page.getByRole('combobox', { name: 'Requests are told apart by' }).fill('nothing');
      await button('Release it').click();
      await page.getByText(/^expected client_ip, consumer, colo or header:<name>/).waitFor();
      await page.getByRole('combobox', { name: 'Requests are told apart by' }).fill('header:x-user');
      await page
        .locator('.mantine-InputWrapper-error')
        .getByText(/^expected client_ip/)
        .waitFor({ state: 'detached' });
      await button('Gates of ring 1').click();
      await page.getByLabel('Data planes that must have it').fill('1');
      await expectUsable();
      await button('Release it').click();
      await page.getByText('ring 1 of 1').waitFor();
      await page.getByText(/1 of 1 data planes have it/).waitFor();
      await page
        .getByText(/^all data planes with region ?= ?eu, 50 % of their requests by header:x-user, for 5 min/)
        .waitFor();
      await expectUsable();
      await button('Pause').click();
      await page.getByText('paused', { exact: true }).waitFor();
      await button('Go on now').click();
      await page.getByText('live', { exact: true }).waitFor();

      await admin(`${plane.admin}/services/ringed`, 'PATCH', { host: 'other.internal' });
      await page.getByText('Ring by ring', { exact: true }).click();
      await button('Release it').click();
      await page.getByText(/^ring 1 of /).waitFor();
      await button('Undo').click();
      await page.getByText('aborted', { exact: true }).waitFor();
      await page.getByText('All at once', { exact: true }).click();
      await button('Release it').click();
      // The newest first. The one that was undone is what is live now, once more.
      const newest = async () => Object((await admin(`${plane.admin}/releases?group=default`, 'GET')).data).slice(0, 3);
      const states = async () => (await newest()).map(({ state }: { state: string }) => state);
      await expect.poll(states).toEqual(['live', 'aborted', 'replaced']);
      const [live, , replaced] = await newest();
      await page.getByRole('combobox', { name: 'From' }).click();
      await page.getByRole('option', { name: `serial ${replaced.serial} of default, ${replaced.state},` }).click();
      await expect.poll(() => page.getByRole('option').count()).toBe(0);
      await page.getByRole('combobox', { name: 'To' }).click();
      await page.getByRole('option', { name: `serial ${live.serial} of default, ${live.state},` }).click();
      await page.getByText('"other.internal"').waitFor();
      await button('Go back to this').first().click();
      await page.getByText(/^back to/).waitFor();
    } finally {
      await admin(`${plane.admin}/groups/default`, 'DELETE');
    }
  });
});
