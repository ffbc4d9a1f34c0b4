import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type RunningControlPlane, runControlPlane } from '../cp/running-control-plane.ts';
import { admin } from '../e2e/processes.ts';
import { type ManagerBrowser, startManagerBrowser } from './manager-page.ts';

// What becomes of what is typed while the control plane, the browser or somebody else is at work.

let plane: RunningControlPlane;
let browser: ManagerBrowser;
let page: Page;

beforeAll(async () => {
  plane = await runControlPlane();
  browser = await startManagerBrowser();
});
afterAll(async () => {
  await browser?.context.close();
  await plane?.stop();
});
beforeEach(async () => {
  page = await browser.context.newPage();
});
afterEach(async () => {
  await page.close();
  expect(browser.complaints).toEqual([]);
});

const button = (name: string) => page.getByRole('button', { name, exact: true });
const made = async (path: string, row: object) => String((await admin(plane.admin + path, 'POST', row)).id);
const stored = (path: string) => admin(plane.admin + path);

it('releases nothing at once of which somebody began to say when', async () => {
  await made('/groups', { name: 'default', publish: 'release' });
  await made('/services', { name: 'waiting', host: 'h' });
  const released = async () => (await stored('/releases')).data;
  await page.goto(`${plane.ui}/releases`);
  const begins = page.getByLabel('Begins');
  await begins.click();
  const before = await released();
  await page.keyboard.type('12312030');
  await page.getByRole('button', { name: /^Release / }).click();
  await page.getByText('Say both day and time, or neither').waitFor();
  expect(await released()).toEqual(before);
  await begins.fill('2130-12-31T10:00');
  await page.getByRole('button', { name: /^Release / }).click();
  await page.getByText(/begins/).waitFor();
  expect(await released()).toMatchObject([{ state: 'scheduled' }, ...[before].flat()]);
});

it('deletes the row that is shown, though its address has a name that begins like another path', async () => {
  await made('/consumers', { username: 'alice' });
  const id = await made('/consumers', { username: 'alice?old' });
  await page.goto(`${plane.ui}/config/consumers/alice%3Fold`);
  await page.waitForURL(`${plane.ui}/config/consumers/${id}`);
  await button('Delete').click();
  await button('Delete it').click();
  await page.getByText('Deleted consumer alice?old').waitFor();
  expect((await stored('/consumers')).data).toMatchObject([{ username: 'alice' }]);
});

it('keeps what is typed while a save is on its way', async () => {
  const id = await made('/services', { name: 'slow', host: 'h' });
  await page.route(`**/services/${id}`, async (route) => {
    if (route.request().method() === 'PATCH') await page.locator('[aria-label=typed]').waitFor({ state: 'attached' });
    await route.continue();
  });
  await page.goto(`${plane.ui}/config/services/${id}`);
  await page.getByRole('tab', { name: 'Settings' }).click();
  await page.getByRole('textbox', { name: 'Path', exact: true }).fill('/a');
  await button('Save').click();
  await page.getByRole('textbox', { name: 'Host' }).fill('other');
  await page.evaluate(`document.body.append(Object.assign(document.createElement('i'), { ariaLabel: 'typed' }))`);
  await page.getByText('Saved service slow').waitFor();
  expect(await page.getByRole('textbox', { name: 'Host' }).inputValue()).toBe('other');
  await button('Save').click();
  await expect.poll(() => stored(`/services/${id}`)).toMatchObject({ path: '/a', host: 'other' });
});

it('finds by words that are typed within others, or by way of others', async () => {
  await made('/services', { name: 'found', host: 'h' });
  await page.goto(`${plane.ui}/config/services`);
  const find = page.getByLabel('Find services');
  await find.click();
  await page.keyboard.type('nd');
  await find.press('Home');
  await page.keyboard.type('fou', { delay: 5 });
  expect(await find.inputValue()).toBe('found');
  await page.waitForURL(/q=found$/);
  await find.fill('');
  const devtools = await browser.context.newCDPSession(page);
  for (const text of ['k', 'か', 'かn', 'かん', 'かんじ']) {
    await devtools.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length });
    // As long as an address takes that is told of each.
    await page.waitForTimeout(60);
  }
  await devtools.send('Input.insertText', { text: '漢字' });
  expect(await find.inputValue()).toBe('漢字');
  await button('Show all').click();
  await expect.poll(() => find.inputValue()).toBe('');
});

it('keeps a draft without the secrets in it', async () => {
  const consumer = await made('/consumers', { username: 'keeper' });
  const address = `${plane.ui}/config/key-auths/new?for=consumer:${consumer}`;
  await page.goto(address);
  await page.getByLabel('Key', { exact: true }).fill('hush-hush');
  const tags = page.getByPlaceholder('Type a value, then Enter');
  await tags.fill('team-a');
  await tags.press('Enter');
  expect(await page.evaluate('JSON.stringify({ ...sessionStorage })')).toMatch(/^(?!.*hush-hush).*team-a/);
  await page.goto(`${plane.ui}/config/consumers`);
  await page.getByRole('heading', { name: 'Consumers' }).waitFor();
  await page.goto(address);
  await page.getByText('Secrets are not kept.').waitFor();
  await page.getByText('team-a').waitFor();
  expect(await page.getByLabel('Key', { exact: true }).inputValue()).toBe('');
});
