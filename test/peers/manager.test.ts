import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadSigningKey, loadTrustedKeys } from '../../cp/pki/cluster-tls.ts';
import { startNodeHost } from '../../edge-dp/hosts/node/host.ts';
import type { DataPlane } from '../../edge-dp/hosts/options.ts';
import { plugins } from '../../shared/plugins/registry.ts';
import { hello, TestLink } from '../cp/cluster/control-plane.ts';
import { authority } from '../cp/pki/authority.ts';
import { type RunningControlPlane, runControlPlane } from '../cp/running-control-plane.ts';
import { admin } from '../e2e/processes.ts';
import { nodeOptions, proxyUrl } from '../edge-dp/hosts.ts';
import { barriers, type ManagerBrowser, overflow, startManagerBrowser } from './manager-page.ts';

const run = promisify(execFile);

let folder: string;
let plane: RunningControlPlane;
const nodes = new Map<string, DataPlane>();
let api: Server;
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
  api = createServer((_, response) => response.end('orders'));
  await new Promise<void>((listening) => api.listen(0, '127.0.0.1', listening));
  plane = await runControlPlane();
  for (const hostname of ['eu-1', 'us-1 <b>"']) await startNode(hostname);
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

const button = (name: string) => page.getByRole('button', { name, exact: true });
const link = (name: string) => page.getByRole('link', { name, exact: true });
const tab = (name: string) => page.getByRole('tab', { name, exact: true });

/** Waits until a data plane answers a request of a newcomer with a status. */
async function expectAnswer(status: number, headers: Record<string, string> = {}): Promise<void> {
  const node = nodes.get('eu-1') ?? expect.fail('no data plane');
  await expect.poll(async () => (await fetch(proxyUrl(node, '/orders'), { headers })).status).toBe(status);
}

describe('config', () => {
  it('is made by a newcomer from what is on the screen: a service, its route, a key, and who may call', async () => {
    await page.goto(plane.ui);
    await link('Services').click();
    await page.getByText('No services yet').waitFor();
    await link('New service').click();
    await page.getByLabel('URL of the API').fill(`http://127.0.0.1:${(api.address() as AddressInfo).port}`);
    await page.getByLabel('Name').fill('orders');
    await button('Create service').click();
    await page.getByRole('heading', { name: 'orders' }).waitFor();
    await page.getByText('No request can reach this service yet').waitFor();

    await link('Add a route').click();
    await page.getByLabel('Name').fill('orders-api');
    await page.getByRole('combobox', { name: 'Paths' }).fill('/orders');
    await page.getByRole('combobox', { name: 'Paths' }).press('Enter');
    await button('Create route').click();
    await link('orders-api').waitFor();
    await page.getByText(/live on 2 of 2 data planes/).waitFor();
    await expectAnswer(200);

    await link('Add a plugin').click();
    await page.getByLabel('Find a plugin').fill('API key');
    await page.getByRole('link', { name: /^key-auth/ }).click();
    await button('Create plugin').click();
    await link('key-auth').waitFor();
    await expectAnswer(401);

    await link('Consumers').click();
    await link('New consumer').click();
    await page.getByLabel('Username').fill('ada');
    await button('Create consumer').click();
    await link('Add an API key').click();
    await page.getByRole('textbox', { name: 'Key' }).fill('open-sesame');
    await button('Create API key').click();
    await page.getByRole('heading', { name: 'ada' }).waitFor();
    await page.getByText(/live on 2 of 2 data planes/).waitFor();

    await link('Routes').click();
    await link('orders-api').click();
    const call = page.getByRole('region', { name: 'Call it' });
    const line = await call.locator('pre').innerText();
    expect(line).toBe("curl -i -H 'apikey: <key>' 'http://<data plane>:8000/orders'");
    await call
      .getByText(
        '<data plane> stands for the address of one of the data planes. <key> stands for an API key of one of the consumers.',
      )
      .waitFor();
    for (const node of nodes.values()) {
      const said = line.replace('http://<data plane>:8000', proxyUrl(node, '')).replace('<key>', 'open-sesame');
      await expect.poll(() => shell(said)).toMatch(/^HTTP\/1\.1 200 [\s\S]*orders$/);
    }
  });

  it('says at each field why a value is refused, keeps what was typed, and hides no error', async () => {
    await page.goto(`${plane.ui}/config/services/new`);
    await page.getByLabel('Name').fill('not a name');
    await page.getByLabel('Port').fill('70000');
    await page.getByLabel('Path', { exact: true }).fill('nowhere');
    await button('More settings (8)').click();
    await page.getByLabel('Retries').fill('99999');
    await button('Create service').click();
    for (const text of [
      'required field missing',
      'value should be between 0 and 65535',
      'should start with: /',
      'value should be between 0 and 32767',
    ]) {
      await page.getByText(text, { exact: true }).waitFor();
    }
    await page.reload();
    await page.getByText('This is what you typed before and did not save').waitFor();
    expect(await page.getByLabel('Path', { exact: true }).inputValue()).toBe('nowhere');
    await button('Discard it').click();
    expect(await page.getByLabel('Path', { exact: true }).inputValue()).toBe('');

    await page.goto(`${plane.ui}/config/plugins/new?plugin=rate-limiting`);
    await button('Create plugin').click();
    await page
      .getByText(/^at least one of these fields must be non-empty/)
      .first()
      .waitFor();
    await page.getByLabel('Minute').fill('-1');
    await button('Create plugin').click();
    await page.getByText('value must be greater than 0', { exact: true }).waitFor();
  });

  it('is changed by two at once without either losing anything', async () => {
    const { id } = await admin(`${plane.admin}/services/shared`, 'PUT', { host: 'shared.internal', tags: ['one'] });
    await page.goto(`${plane.ui}/config/services/${id}`);
    await tab('Settings').click();
    await page.getByLabel('Port').fill('8081');
    const other = await browser.context.newPage();
    await other.goto(`${plane.ui}/config/services/${id}`);
    await other.getByRole('tab', { name: 'Settings', exact: true }).click();
    await other.getByLabel('Host').fill('other.internal');
    await other.getByLabel('Port').fill('9090');
    await other.getByRole('button', { name: 'Save', exact: true }).click();
    await other.getByText('Saved service shared').waitFor();
    await other.close();

    await page.getByText('Somebody else has changed this since you opened it').waitFor();
    await page.getByText('It was 80 and is now 9090. You want 8081.').waitFor();
    expect(await button('Save').isDisabled()).toBe(true);
    await button('Keep my changes on top of theirs').click();
    await button('Save').click();
    await page.getByText('Saved service shared').waitFor();
    expect(await admin(`${plane.admin}/services/shared`, 'GET')).toMatchObject({
      host: 'other.internal',
      port: 8081,
      tags: ['one'],
    });

    await button('Delete').click();
    await button('Delete it').click();
    await page.getByText('Deleted service shared').waitFor();
    await row('shared').waitFor({ state: 'detached' });
    expect((await fetch(`${plane.admin}/services/shared`)).status).toBe(404);
  });

  it('shows names for what they are, whoever made them up', async () => {
    const tags = ['<img src=x onerror="document.title=1">', 'x'.repeat(10_000)];
    const { id } = await admin(`${plane.admin}/services/hostile`, 'PUT', { host: 'h', tags });
    await admin(`${plane.admin}/services/hostile/routes`, 'POST', {
      name: 'r',
      paths: ["~/a'<script>b</script>"],
      tags,
    });
    await admin(`${plane.admin}/consumers/${encodeURIComponent('<b>')}`, 'PUT', {
      custom_id: 'w'.repeat(5000),
    });
    await page.setViewportSize({ width: 400, height: 800 });
    for (const path of ['/config/services', `/config/services/${id}`, '/config/routes', '/config/consumers']) {
      await page.goto(plane.ui + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' });
      await expect.poll(() => overflow(page), { message: `${path} is wider than its window` }).toBe(0);
      expect(await page.title()).toBe('Holdfast Manager');
    }
    await page.goto(`${plane.ui}/config/services?q=onerror`);
    await row('hostile').waitFor();
  });
});

/** What a command prints. */
const shell = async (command: string): Promise<string> => (await run('sh', ['-c', command])).stdout;

describe('a control plane that takes its time', () => {
  it('keeps nobody from going about: each page shows what it is and where what it waits for will be', async () => {
    const { id } = await admin(`${plane.admin}/services/slow`, 'PUT', { host: 'slow.internal' });
    let go = (): void => undefined;
    const held = new Promise<void>((open) => {
      go = open;
    });
    // The pages come from the same host: what is held is the Admin API alone.
    await page.route(`${plane.admin}/**`, async (route) => {
      await held;
      await route.continue().catch(() => undefined);
    });
    const waits = () => page.locator('main [aria-busy=true]').first().waitFor();
    await page.goto(plane.ui);
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await waits();
    for (const name of ['Data planes', 'Changes', 'Traffic', 'Releases', 'Replay', 'Services', 'Plugins']) {
      await link(name).click();
      await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
      await waits();
    }
    expect(await barriers(page)).toEqual([]);
    // A form that needs no more than is known is there, and what it still waits for is not in its way.
    await link('Explain').click();
    await page.getByLabel('Address', { exact: true }).fill('http://slow.test/');
    await link('Import and export').click();
    await page.getByLabel('Document').fill('_format_version: "3.0"');
    await link('Services').click();
    await waits();
    go();
    await row('slow').waitFor();
    await page.locator('main [aria-busy=true]').first().waitFor({ state: 'detached' });
    await admin(`${plane.admin}/services/${id}`, 'DELETE');
  });
});

describe('a data plane that cannot take what is written', () => {
  it('is told of with the reason, on the overview, in the list and on its page, and what expires soon beside it', async () => {
    const authorities = await authority('Soon CA');
    const soon = new Date(Math.floor(Date.now() / 1000) * 1000 + 10 * 86_400_000);
    const { cert, key } = await authorities.leaf({ name: 'soon.test', notAfter: soon });
    const certificate = await admin(`${plane.admin}/certificates`, 'POST', { cert, key, snis: ['soon.test'] });
    const { settings } = plane;
    const pem = (path: string | null) => readFileSync(path ?? '', 'utf8');
    const own = pem(settings.cluster_cert);
    const tls = { cert: own, key: pem(settings.cluster_cert_key), ca: own, servername: 'kong_clustering' };
    const signing = await loadSigningKey(settings.bundle_signing_key ?? '');
    const nodeLink = await TestLink.open(plane.plane.cluster?.port ?? 0, tls, signing);
    const { acl: _, ...lacking } = Object.fromEntries([...plugins].map(([name, { version }]) => [name, version]));
    nodeLink.say(hello({ hostname: 'old-edge', version: '0.1.0', plugins: lacking, labels: { region: 'old' } }));
    const alive = setInterval(() => nodeLink.say({ type: 'heartbeat', serial: null, config_hash: null }), 10_000);
    const { id } = await admin(`${plane.admin}/services/kept-out`, 'PUT', { host: 'h' });
    const route = { service: { id }, paths: ['/kept-out'], preserve_host: true };
    await admin(`${plane.admin}/routes/kept-out`, 'PUT', route);
    let plugin: unknown = null;
    try {
      await page.goto(`${plane.ui}/data-planes`);
      await link('old-edge').click();
      const conflicts = page.getByRole('region', { name: 'Settings it cannot honour' });
      await conflicts.getByText(/^routes kept-out: 'preserve_host' is true/).waitFor();
      const reason = /plugin 'acl' is configured, but this data plane does not have it/;
      const acl = { name: 'acl', config: { allow: ['a'] } };
      plugin = (await admin(`${plane.admin}/services/${id}/plugins`, 'POST', acl)).id;
      await page.goto(plane.ui);
      const matters = page.getByRole('region', { name: 'Needs attention' });
      await matters.getByText('A data plane keeps an older config').waitFor();
      await matters.getByText(reason).waitFor();
      await matters.getByText('A certificate expires soon').waitFor();
      await matters.getByRole('link', { name: 'soon.test' }).waitFor();
      const { serial } = await admin(`${plane.admin}/groups/default`, 'GET');
      const live = page.getByRole('region', { name: 'Live config' });
      await live.getByText(`serial ${serial}`, { exact: true }).waitFor();
      await live.getByText(/^2 of 3 data planes serve it/).waitFor();
      const fleet = page.getByRole('region', { name: 'Data planes' });
      for (const meaning of ['connected, with the newest config of its group', /^keeps an older config/])
        await fleet.getByRole('link', { name: meaning }).waitFor();
      await matters.getByRole('link', { name: 'old-edge' }).click();
      await page.getByText('It keeps its last config, because of this').waitFor();
      await page.getByText(reason).first().waitFor();
      await page.getByRole('region', { name: 'What became of config here' }).getByText('Withheld').first().waitFor();
      await page.getByText(/^expires/).waitFor();
      await page.getByText('It has told of nothing beyond HTTP.').waitFor();
      await page.goto(`${plane.ui}/data-planes?state=refused`);
      await row('old-edge').getByText('Refused', { exact: true }).waitFor();
      expect(await row('eu-1').count()).toBe(0);
    } finally {
      clearInterval(alive);
      nodeLink.socket.close();
      if (plugin !== null) await admin(`${plane.admin}/plugins/${plugin}`, 'DELETE');
      await admin(`${plane.admin}/routes/kept-out`, 'DELETE');
      await admin(`${plane.admin}/certificates/${certificate.id}`, 'DELETE');
    }
  });
});

describe('explain', () => {
  it('says where a curl line goes, through which plugins, and why another route loses', async () => {
    const { id } = await admin(`${plane.admin}/services/explained`, 'PUT', { host: 'explained.internal' });
    await admin(`${plane.admin}/routes/wins`, 'PUT', { service: { id }, paths: ['/explained/long'] });
    await admin(`${plane.admin}/routes/loses`, 'PUT', { service: { id }, paths: ['/explained'] });
    await admin(`${plane.admin}/services/explained/plugins`, 'POST', { name: 'correlation-id' });
    await admin(`${plane.admin}/wait`, 'GET');
    await page.goto(plane.ui);
    await link('Explain').click();
    await tab('Paste a curl line').click();
    await page.getByRole('textbox', { name: 'curl line' }).fill("curl -H 'x-a: b' http://shop.test/explained/long/1");
    await button('Explain').click();
    await link('wins').waitFor();
    await page.getByText('http://explained.internal:80/').waitFor();
    await link('correlation-id').waitFor();
    await page.getByText(/^for this service, priority \d+$/).waitFor();
    const headers = page.getByRole('region', { name: 'Headers it is passed on with' });
    await headers.getByText('Host: explained.internal', { exact: true }).waitFor();
    await headers.getByText('x-a: b', { exact: true }).waitFor();
    await headers.getByText('X-Forwarded-Host: shop.test', { exact: true }).waitFor();
    await headers.getByText('X-Real-IP: only known when a request is there', { exact: true }).waitFor();
    await link('loses').waitFor();
    await page.getByText('lower priority').waitFor();
    await page.getByRole('textbox', { name: 'curl line' }).fill('wget x');
    await button('Explain').click();
    await page.getByText('The line must begin with curl.').waitFor();
  });

  it('says which of several targets a request goes to and why, as the data plane that is chosen sees them', async () => {
    const other = createServer((_, response) => response.end('other'));
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening));
    const [works = '', worksToo = ''] = [api, other].map((one) => `127.0.0.1:${(one.address() as AddressInfo).port}`);
    const answers = new Map([
      ['orders', works],
      ['other', worksToo],
    ]);
    const dead = '127.0.0.1:1';
    const upstream = `${plane.admin}/upstreams/spread`;
    const hashed = { algorithm: 'consistent-hashing', hash_on: 'header', hash_on_header: 'x-user' };
    await admin(upstream, 'PUT', { ...hashed, healthchecks: { passive: { unhealthy: { tcp_failures: 1 } } } });
    for (const target of [works, worksToo, dead]) await admin(`${upstream}/targets`, 'POST', { target });
    await admin(`${upstream}/targets`, 'POST', { target: '127.0.0.1:2', weight: 0 });
    const { id } = await admin(`${plane.admin}/services/spread`, 'PUT', { host: 'spread' });
    await admin(`${plane.admin}/routes/spread`, 'PUT', { service: { id }, paths: ['/spread'] });
    await admin(`${plane.admin}/wait`, 'GET');

    const choice = page.getByRole('region', { name: 'The target it goes to' });
    const says = (text: string | RegExp) => choice.getByText(text).waitFor();
    const saysOf = (target: string, text: string) =>
      choice.locator('.hf-part').filter({ hasText: target }).getByText(text, { exact: true }).waitFor();
    const explainOn = async (hostname: string) => {
      await page.getByRole('combobox', { name: 'On data plane' }).fill(hostname);
      await page.getByRole('option').filter({ hasText: hostname }).click();
      await button('Explain').click();
      await link(hostname).waitFor();
    };
    try {
      // Somebody whose requests are for the target that does not answer.
      let user = 0;
      const goesTo = async () => {
        const body = { path: '/spread', headers: { 'x-user': `u${user}` } };
        const told = JSON.stringify((await admin(`${plane.admin}/debug/route`, 'POST', body)).upstream);
        return /"target":"([^"]+)"[^{}]*"share":1\b/.exec(told)?.[1];
      };
      while ((await goesTo()) !== dead) user++;
      const why = `all requests go there whose header x-user is u${user}`;
      await page.goto(`${plane.ui}/explain`);
      await page.getByLabel('Address', { exact: true }).fill('http://shop.test/spread');
      await page.getByLabel('Headers').fill(`x-user: u${user}`);
      await explainOn('us-1 <b>"');
      await says(`${dead}: ${why}`);
      await saysOf(dead, 'gets it');
      await saysOf(works, 'available, but not chosen');
      await saysOf('127.0.0.1:2', 'gets none: its weight is 0');

      // One data plane meets that it does not answer; the other knows nothing of it.
      const us = nodes.get('us-1 <b>"') ?? expect.fail('no data plane');
      const served = async () =>
        answers.get(await (await fetch(proxyUrl(us, '/spread'), { headers: { 'x-user': `u${user}` } })).text());
      const now = (await served()) ?? expect.fail('nobody answered');
      await explainOn('us-1 <b>"');
      await says(`${now}: ${why}`);
      await saysOf(now, 'gets it');
      await saysOf(dead, 'gets none: it is unhealthy, by a health check or a mark');
      expect(await served()).toBe(now);
      await explainOn('eu-1');
      await says(`${dead}: ${why}`);
      expect(await barriers(page)).toEqual([]);

      await admin(upstream, 'PATCH', { tags: ['config-that-spreads-alike'] });
      await admin(`${plane.admin}/wait`, 'GET');
      await explainOn('us-1 <b>"');
      await says(`${now}: ${why}`);
      const turns = { algorithm: 'round-robin', hash_on: 'none', hash_on_header: null };
      await admin(upstream, 'PATCH', turns);
      await admin(`${plane.admin}/wait`, 'GET');
      await button('Explain').click();
      await says('Those that are available take turns, by their weights.');
      await saysOf(now, 'gets 50 % of such requests');
      await admin(upstream, 'PATCH', { healthchecks: { threshold: 70 } });
      await admin(`${plane.admin}/wait`, 'GET');
      await button('Explain').click();
      await says(/^Nobody: 67 % of the weight is available, and the upstream is used only above its threshold of 70 %/);
      expect((await fetch(proxyUrl(us, '/spread'))).status).toBe(503);
    } finally {
      other.close();
      await admin(`${plane.admin}/routes/spread`, 'DELETE');
      await admin(`${plane.admin}/services/spread`, 'DELETE');
      await admin(upstream, 'DELETE');
    }
  });
});

describe('import and export', () => {
  it('show what a file would change before it does, as one change, and give it back', async () => {
    await page.goto(`${plane.ui}/transfer`);
    const yaml =
      "_format_version: '3.0'\nservices:\n- name: imported\n  url: http://imported.internal\n  routes:\n  - name: imported\n    paths: [/imported]\n";
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: 'kong.yml', mimeType: 'application/yaml', buffer: Buffer.from(yaml) });
    await page.getByText('2 changes').waitFor();
    expect((await fetch(`${plane.admin}/services/imported`)).status).toBe(404);
    await button('Apply as one change').click();
    await page.getByText('Imported the file as one change').waitFor();
    expect(await admin(`${plane.admin}/routes/imported`, 'GET')).toMatchObject({ paths: ['/imported'] });
    await page.getByLabel('Document').fill(yaml.replace('url:', 'uri:'));
    await button('Show what it would change').click();
    await page.getByText('This document cannot be taken').waitFor();
    await page.getByText(/unknown field/).waitFor();

    const [download] = await Promise.all([page.waitForEvent('download'), button('Download kong.yml').click()]);
    expect(readFileSync(await download.path(), 'utf8')).toContain('name: imported');
  });
});

describe('releases', () => {
  it('show what waits, field by field, and let it go out', async () => {
    await admin(`${plane.admin}/groups/default`, 'PUT', { publish: 'release' });
    try {
      await page.goto(`${plane.ui}/config/services/new`);
      await page.getByLabel('Name').fill('waits');
      await page.getByLabel('Host').fill('waits.internal');
      await button('Create service').click();
      await page.getByText('Data planes of default get it when').waitFor();
      await link('it is released').click();
      await page.getByText('Waits for group default').waitFor();
      await page.getByText('waits', { exact: true }).waitFor();
      await button('Release it').click();
      await page.getByText('Nothing: its data planes have all that is written.').waitFor();
      await page.getByText('live', { exact: true }).waitFor();
    } finally {
      await admin(`${plane.admin}/groups/default`, 'DELETE');
    }
  });
});

describe('the overview', () => {
  it('follows a change as it is written, published and served, by events alone', async () => {
    await page.goto(plane.ui);
    await page.getByText('None since this page was opened').waitFor();
    // The stream may not have begun when the first is written.
    await expect
      .poll(async () => {
        await admin(`${plane.admin}/services/followed`, 'PUT', { host: 'h', tags: [crypto.randomUUID()] });
        return page.getByText('update service', { exact: true }).count();
      })
      .toBeGreaterThan(0);
    await page
      .getByText(/published \d+ ms/)
      .first()
      .waitFor();
    for (const name of ['eu-1', 'us-1'])
      await page
        .getByText(new RegExp(`${name}.* \\d+ ms`))
        .first()
        .waitFor();
  });

  it('says so when the control plane is gone, keeps what it showed, and goes on when it is back', async () => {
    await page.goto(`${plane.ui}/data-planes`);
    await row('eu-1').waitFor();
    await page.context().setOffline(true);
    await page.getByText('The control plane does not answer').waitFor();
    expect(await row('eu-1').count()).toBe(1);
    await page.context().setOffline(false);
    await page.getByText('The control plane does not answer').waitFor({ state: 'detached' });
    await row('eu-1').getByText('Live', { exact: true }).waitFor();
  });

  it('says so, too, when the control plane takes questions and answers none', async () => {
    await page.goto(`${plane.ui}/data-planes`);
    await row('eu-1').waitFor();
    const banner = page.getByText('The control plane does not answer', { exact: true });
    const all = `${plane.admin}/**`;
    await page.route(all, () => undefined);
    await page.getByRole('link', { name: 'Overview', exact: true }).click();
    await banner.waitFor();
    await page.unroute(all);
    await banner.waitFor({ state: 'detached' });
  });
});

describe('every page', () => {
  it.each(['light', 'dark'] as const)(
    'can be used by everybody, at both widths, in the %s theme',
    async (colorScheme) => {
      await page.emulateMedia({ colorScheme });
      const { id } = await admin(`${plane.admin}/services/seen`, 'PUT', { host: 'h', tags: ['t'] });
      await admin(`${plane.admin}/routes/seen`, 'PUT', { service: { id }, paths: ['/seen'] });
      const paths = [
        '/',
        '/data-planes',
        '/no-such-page',
        '/config/services',
        `/config/services/${id}`,
        '/config/routes/new',
      ];
      paths.push(
        '/config/plugins/new',
        '/config/plugins/new?plugin=rate-limiting',
        '/config/upstreams',
        '/explain',
        '/transfer',
      );
      for (const path of paths) {
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
