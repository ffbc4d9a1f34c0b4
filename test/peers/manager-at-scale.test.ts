import { readdirSync, readFileSync, rmSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KINDS } from '../../cp/gui/web/config/kinds.ts';
import { openStore } from '../../cp/store/open.ts';
import { admin, type ClusterFolder, createCluster, type RunningControlPlane } from '../e2e/processes.ts';
import { freshPrefix } from '../embedded-database.ts';
import { freePorts } from '../free-port.ts';
import { barriers, type ManagerBrowser, overflow, startManagerBrowser } from './manager-page.ts';

const SERVICES = 5_000;
const NODES = 1_000;
/** What somebody may call a thing who means no good. */
const HOSTILE = `<img src=x onerror="document.title='taken'">\u202egnp.exe\u2066</script><script>document.title='taken'</script>${'W'.repeat(10_000)}`;
const HOSTILE_NODE = '5f0c7a52-1c3e-4f6b-9b1a-0d2f8e7c6b5a';

let cluster: ClusterFolder;
let prefix: string;
let plane: RunningControlPlane;
let ui: string;
let browser: ManagerBrowser;
let page: Page;
let start: () => Promise<RunningControlPlane>;

beforeAll(async () => {
  prefix = await freshPrefix('migrated');
  await seed();
  cluster = await createCluster();
  const [port = 0] = await freePorts(1);
  ui = `http://127.0.0.1:${port}`;
  start = () => cluster.controlPlane({ prefix, admin_gui_listen: `127.0.0.1:${port}` });
  plane = await start();
  browser = await startManagerBrowser();
});
afterAll(async () => {
  await browser?.context.close();
  await plane?.end('SIGTERM');
  cluster?.remove();
  rmSync(prefix, { recursive: true, force: true });
});
beforeEach(async () => {
  page = await browser.context.newPage();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail')
    console.error(`${page.url()} said:\n${(await page.locator('body').innerText()).slice(0, 3000)}`);
  await page.close();
  expect(browser.complaints).toEqual([]);
});

/** What is there before the control plane starts: its database is its own while it runs. */
async function seed(): Promise<void> {
  const store = await openStore({ database: 'embedded', prefix }, { migrate: true });
  const workspace = (await store.workspace('default')) ?? expect.fail('no workspace');
  const number = (at: number) => String(at).padStart(4, '0');
  await workspace.entity('services').insertMany(
    Array.from({ length: SERVICES }, (_, at) => ({
      name: `service-${number(at)}`,
      host: `h${at}.internal`,
      tags: [`team-${at % 20}`],
    })),
  );
  const node = (at: number, changes: object = {}) => ({
    id: crypto.randomUUID(),
    hostname: `node-${number(at)}`,
    ip: `10.0.${at >> 8}.${at & 255}`,
    version: '1.2.0',
    config_hash: null,
    sync_status: 'normal',
    labels: { region: `r${at % 10}` },
    cert_details: {},
    serial: 1,
    reason: null,
    description: {},
    health: {},
    keys: { node: null, certificate: null },
    ...changes,
  });
  const owner = crypto.randomUUID();
  for (let at = 0; at < NODES; at++) await store.nodes.put(node(at), 100_000, owner);
  const hostile = {
    id: HOSTILE_NODE,
    hostname: HOSTILE.slice(0, 253),
    labels: { [HOSTILE.slice(0, 60)]: HOSTILE.slice(0, 200) },
    reason: HOSTILE,
  };
  await store.nodes.put(node(NODES, hostile), 100_000, owner);
  // However soon somebody looks: their control plane is gone.
  await store.nodes.left(null, owner);
  await store.close();
}

const GONE = 'The control plane does not answer';
const link = (name: string) => page.getByRole('link', { name, exact: true });
const drawn = () => page.getByRole('table').getByRole('row').count();
const ready = async () => {
  await page.getByRole('heading', { level: 1 }).first().waitFor();
  await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' });
};

describe('5,000 services and 1,000 data planes', () => {
  it('are a list that is there at once, searched while one types, and gone through to its end', async () => {
    await page.goto(ui);
    await ready();
    const asked = performance.now();
    await page.goto(`${ui}/config/services`);
    await page
      .getByRole('link', { name: /^service-/ })
      .first()
      .waitFor();
    const find = page.getByRole('textbox', { name: 'Find services' });
    await find.fill('service-4321');
    await link('service-4321').waitFor();
    console.info(`5,000 services: found one ${Math.round(performance.now() - asked)} ms after the page was asked for`);
    expect(await drawn()).toBeLessThan(10);
    await find.fill('team-7');
    await page.getByRole('table').and(page.locator('[aria-rowcount="251"]')).waitFor();
    await find.fill('');
    await page
      .getByRole('table')
      .and(page.locator(`[aria-rowcount="${SERVICES + 1}"]`))
      .waitFor();
    expect(await drawn()).toBeLessThan(60);
    await page.getByRole('region', { name: 'Services' }).press('End');
    await page.locator(`[aria-rowindex="${SERVICES + 1}"]`).waitFor();
    expect(await drawn()).toBeLessThan(60);
  });

  it('are data planes that can be sorted, found by their labels and gone through to their end', async () => {
    await page.goto(`${ui}/data-planes`);
    await page.getByText(`All ${NODES + 1}`).waitFor();
    expect(await drawn()).toBeLessThan(60);
    const name = page.getByRole('columnheader', { name: 'Name' }).getByRole('button');
    await name.click();
    await link('node-0000').waitFor();
    await page.getByRole('region', { name: 'Data planes' }).press('End');
    await link('node-0999').waitFor();
    await page.getByLabel('Find data planes').fill('region=r7');
    await page.getByRole('table').and(page.locator('[aria-rowcount="101"]')).waitFor();
    await name.click();
    await page.getByRole('region', { name: 'Data planes' }).press('Home');
    await link('node-0997').waitFor();
  });

  it('are found by name where a form refers to one of them', async () => {
    await page.goto(`${ui}/config/routes/new`);
    await page.getByRole('combobox', { name: 'Service' }).fill('service-4999');
    await page.getByRole('option', { name: 'service-4999' }).click();
    await link('Open this service').waitFor();
  });
});

describe('a change', () => {
  it('is live on both data planes; on one that stands still it is late, and comes by itself when that goes on', async () => {
    const zones = ['eu', 'us'] as const;
    const [eu, us] = await Promise.all(
      zones.map((zone, at) =>
        cluster.dataPlane(zone, { cluster_dp_labels: `zone:${zone}`, data_plane_host: at === 0 ? 'node' : 'workerd' }),
      ),
    );
    if (eu === undefined || us === undefined) return expect.fail('no data planes');
    const { id } = await admin(`${plane.admin}/services/service-0007`);
    const watch = await browser.context.newPage();
    const of = (zone: string) => watch.getByRole('row').filter({ hasText: `zone=${zone}` });
    const isIn = (zone: string, state: string) => of(zone).getByText(state, { exact: true }).waitFor();
    /** Types a path into the form, and saves it when what is awaited has come. */
    const save = async (path: string, first: () => Promise<void>) => {
      await page.goto(`${ui}/config/services/${id}`);
      await page.getByRole('tab', { name: 'Settings', exact: true }).click();
      await page.getByRole('textbox', { name: 'Path', exact: true }).fill(path);
      await first();
      await page.getByRole('button', { name: 'Save', exact: true }).click();
      await page.getByText('Saved service service-0007').waitFor();
    };
    try {
      await watch.goto(`${ui}/data-planes?q=zone%3D`);
      for (const zone of zones) await isIn(zone, 'Live');
      await save('/one', async () => undefined);
      await page.getByText(/: live on 2 of 2 data planes$/).waitFor();
      for (const zone of zones) await isIn(zone, 'Live');

      // It is taken for gone when nothing was heard of it for 45 s: from a sign of life on there is time to look.
      await save('/two', async () => {
        const before = await lastSeen('eu');
        await expect.poll(() => lastSeen('eu'), { timeout: 60_000 }).toBeGreaterThan(before);
        signalAll(eu.child.pid ?? 0, 'SIGSTOP');
      });
      await isIn('eu', 'Late');
      await isIn('us', 'Live');
      await page.getByText(/: live on 1 of 2 data planes$/).waitFor();
      await watch.getByText('Late 1', { exact: true }).click();
      await of('us').waitFor({ state: 'detached' });
      await isIn('eu', 'Late');
      await watch.getByText(`All ${NODES + 3}`, { exact: true }).click();
      signalAll(eu.child.pid ?? 0, 'SIGCONT');
      for (const zone of zones) await isIn(zone, 'Live');
      for (const { status } of [eu, us])
        await expect
          .poll(async () => (await admin(`${status}/status`)).configuration_serial)
          .toBe((await admin(`${plane.admin}/groups/default`)).serial);
    } finally {
      signalAll(eu.child.pid ?? 0, 'SIGCONT');
      for (const node of [eu, us]) await node.end('SIGTERM');
      await watch.close();
    }
  }, 300_000);

  /** When a sign of life came from the data plane of a zone, in seconds since 1970. */
  async function lastSeen(zone: string): Promise<number> {
    const { data } = await admin(`${plane.admin}/clustering/data-planes?size=1000`);
    const rest = await admin(`${plane.admin}/clustering/data-planes?size=1000&offset=1000`).catch(() => ({ data: [] }));
    const all = [data, rest.data].flatMap((list) => (Array.isArray(list) ? list : []));
    return all.find(({ labels }) => labels?.zone === zone)?.last_seen ?? 0;
  }

  /** Has a process, and all that it has started, stand still or go on. */
  function signalAll(pid: number, name: 'SIGSTOP' | 'SIGCONT'): void {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      for (const child of readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '))
        if (child.trim() !== '') signalAll(Number(child), name);
    }
    process.kill(pid, name);
  }
});

describe('names that somebody made up who means no good', () => {
  /** Rows with such a name in every field that takes one, by kind, as they are made. */
  const ROWS: readonly (readonly [path: string, row: object])[] = [
    ['/services/hostile', { host: 'h', tags: [HOSTILE.replaceAll(/[,/]/g, ' ')] }],
    ['/consumers', { username: HOSTILE, custom_id: `c${HOSTILE}` }],
    ['/consumers/hostile', { custom_id: 'h' }],
    ['/consumers/hostile/acls', { group: HOSTILE }],
    ['/consumers/hostile/key-auth', { key: HOSTILE.slice(0, 500) }],
    ['/consumers/hostile/basic-auth', { username: HOSTILE, password: 'x' }],
    ['/consumers/hostile/hmac-auth', { username: HOSTILE, secret: HOSTILE }],
    ['/consumers/hostile/jwt', { key: HOSTILE, secret: HOSTILE }],
    ['/consumers/hostile/oauth2', { name: HOSTILE, redirect_uris: [`https://a.test/?${HOSTILE}`.replaceAll('#', '')] }],
    ['/key-sets', { name: HOSTILE }],
    ['/vaults', { prefix: 'hostile', name: 'env', description: HOSTILE }],
    ['/plugins', { name: 'request-termination', config: { message: HOSTILE } }],
    ['/plugins', { name: 'correlation-id', config: { header_name: 'x-id' }, tags: [HOSTILE.replaceAll(/[,/]/g, ' ')] }],
    ['/routes', { name: 'hostile', paths: ["~/a'<script>b</script>"], headers: { 'x-a': [HOSTILE] } }],
  ];

  /** Some fields take no characters that are not seen: then all but those. */
  async function make(path: string, row: object): Promise<void> {
    const method = path.endsWith('/hostile') ? 'PUT' : 'POST';
    const seen: object = JSON.parse(JSON.stringify(row).replaceAll(/[\u202e\u2066]/g, ''));
    await admin(plane.admin + path, method, row).catch((error) => {
      if (!String(error).includes('are not seen')) throw error;
      return admin(plane.admin + path, method, seen);
    });
  }

  it('are shown for what they are, on every page that has them, at 400 px', async () => {
    for (const [path, row] of ROWS) await make(path, row);
    await page.setViewportSize({ width: 400, height: 800 });
    const paths = ['/', '/data-planes?q=img', `/data-planes/${HOSTILE_NODE}`, '/changes', '/releases', '/traffic'];
    for (const { slug, under } of KINDS) {
      if (under !== undefined) continue;
      paths.push(`/config/${slug}`);
      const list: unknown = (await admin(`${plane.admin}/${slug}?size=1000`)).data;
      const rows = Array.isArray(list) ? list.filter((row) => JSON.stringify(row).includes('img src=x')) : [];
      for (const { id } of rows) paths.push(`/config/${slug}/${id}`);
    }
    expect(paths.filter((path) => /[0-9a-f-]{36}/.test(path)).length).toBeGreaterThanOrEqual(ROWS.length - 2);
    for (const path of paths) {
      await page.goto(ui + path);
      await ready();
      await expect.poll(() => overflow(page), { message: `${path} is wider than its window` }).toBe(0);
      expect(await page.title(), path).toBe('Holdfast Manager');
      expect(await page.locator('img[src=x]').count(), path).toBe(0);
      expect(await page.evaluate('/[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.innerText)'), path).toBe(false);
    }
  });
});

describe('a keyboard', () => {
  /** Goes on by Tab until what has the focus is called so. */
  async function tabTo(name: RegExp | string): Promise<void> {
    const passed: string[] = [];
    for (let left = 150; left > 0; left--) {
      await page.keyboard.press('Tab');
      const focused: unknown = await page.evaluate(
        `(() => { const e = document.activeElement; return e.getAttribute('aria-label') ?? (e.labels?.[0]?.innerText || e.innerText || e.tagName); })()`,
      );
      const called = String(focused).replace(/ ?\*$/, '').trim();
      if (typeof name === 'string' ? called === name : name.test(called)) return;
      passed.push(called);
    }
    throw new Error(`Tab never came to ${name}, but to ${passed.join(' | ')}`);
  }

  it('is enough to make a service with a route, change it and delete it', async () => {
    await page.goto(ui);
    await ready();
    await tabTo('Services');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Services' }).waitFor();
    await tabTo('New service');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'New service' }).waitFor();
    await tabTo('Name');
    await page.keyboard.type('by-keyboard');
    await tabTo('Host');
    await page.keyboard.type('keyboard.internal');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'by-keyboard' }).waitFor();
    await tabTo('Add a route');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'New route' }).waitFor();
    await tabTo('Paths');
    await page.keyboard.type('/by-keyboard');
    await page.keyboard.press('Enter');
    await tabTo('Create route');
    await page.keyboard.press('Enter');
    await page.getByText(/^Created route/).waitFor();
    await page.getByRole('heading', { level: 1, name: 'by-keyboard' }).waitFor();
    await tabTo('What belongs to it');
    await page.keyboard.press('ArrowRight');
    await tabTo('Enabled');
    await page.keyboard.press('Space');
    await tabTo('Save');
    await page.keyboard.press('Enter');
    await page.getByText('Saved service by-keyboard').waitFor();
    expect(await admin(`${plane.admin}/services/by-keyboard`)).toMatchObject({
      host: 'keyboard.internal',
      enabled: false,
    });
    const { data } = await admin(`${plane.admin}/services/by-keyboard/routes`);
    expect(data).toMatchObject([{ paths: ['/by-keyboard'] }]);
    await page.goto(`${ui}/config/routes?q=by-keyboard`);
    await tabTo(/^[0-9a-f-]{36}$/);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1 }).waitFor();
    await tabTo('Delete');
    await page.keyboard.press('Enter');
    await tabTo('Delete it');
    await page.keyboard.press('Enter');
    await page.getByText(/^Deleted route/).waitFor();
  });
});

describe('every page of the config', () => {
  it.each([
    ['light', 1280],
    ['dark', 400],
  ] as const)(
    'has nothing that axe finds in the %s theme at %i px',
    async (colorScheme, width) => {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      const paths = [
        `/data-planes/${HOSTILE_NODE}`,
        '/changes',
        '/releases',
        '/traffic',
        '/config/plugins/new?plugin=acme',
      ];
      for (const { slug, under } of KINDS)
        if (under === undefined) paths.push(`/config/${slug}`, `/config/${slug}/new`);
      for (const path of paths) {
        await page.goto(ui + path);
        await ready();
        expect(await barriers(page), path).toEqual([]);
        expect(await overflow(page), path).toBe(0);
      }
    },
    400_000,
  );
});

describe('a control plane that is killed', () => {
  it('is said to be gone, keeps on screen what was there and what was typed, and is gone on with when it is back', async () => {
    const { id } = await admin(`${plane.admin}/services/service-0042`);
    const other = await browser.context.newPage();
    await other.goto(`${ui}/data-planes`);
    // With those of the change, where it was tried before.
    const all = other.getByText(new RegExp(`^All (?:${NODES + 1}|${NODES + 3})$`));
    await all.waitFor();
    await page.goto(`${ui}/config/services/${id}`);
    await page.getByRole('tab', { name: 'Settings', exact: true }).click();
    await page.getByRole('textbox', { name: 'Path', exact: true }).fill('/typed');
    await plane.end('SIGKILL');
    for (const one of [page, other]) await one.getByText(GONE, { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('This was not saved').waitFor();
    expect(await page.getByRole('textbox', { name: 'Path', exact: true }).inputValue()).toBe('/typed');
    expect(await all.count()).toBe(1);
    plane = await start();
    for (const one of [page, other]) await one.getByText(GONE, { exact: true }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('Saved service service-0042').waitFor();
    expect(await admin(`${plane.admin}/services/${id}`)).toMatchObject({ path: '/typed' });
    await all.waitFor();
    await other.close();
  });
});
