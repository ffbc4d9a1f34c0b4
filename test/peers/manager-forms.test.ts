import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KINDS } from '../../cp/gui/web/config/kinds.ts';
import { isRecord, type Row, recordOrEmpty } from '../../shared/record.ts';
import { type RunningControlPlane, runControlPlane } from '../cp/running-control-plane.ts';
import { admin } from '../e2e/processes.ts';
import '../plugin-lua.ts';
import { runDeck } from './deck.ts';
import { fillIn } from './form-filler.ts';
import { barriers, type ManagerBrowser, overflow, startManagerBrowser } from './manager-page.ts';
import { STORIES } from './manager-stories.ts';
import { PLUGINS, REFUSED } from './plugin-stories.ts';

const run = promisify(execFile);

let plane: RunningControlPlane;
let browser: ManagerBrowser;
let page: Page;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-manager-forms-'));
  plane = await runControlPlane();
  browser = await startManagerBrowser();
});
afterAll(async () => {
  await browser?.context.close();
  await plane?.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  page = await browser.context.newPage();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(`${page.url()} said:\n${await page.locator('main').innerText()}`);
  await page.close();
  expect(browser.complaints).toEqual([]);
});

const button = (name: string) => page.getByRole('button', { name, exact: true });
const link = (name: string) => page.getByRole('link', { name, exact: true });
const tab = (name: string) => page.getByRole('tab', { name, exact: true });

/** Ids by kind and name of what was made, as the address of its page says. */
const pages = new Map<string, string>();

describe('before there is anything', () => {
  it('says on every page what to do next, and nothing stands in the way of it', async () => {
    const pages = ['/', '/data-planes', '/traffic', '/changes', '/releases', '/replay', '/transfer'];
    const lists = KINDS.filter(({ under }) => under === undefined).map(({ slug }) => `/config/${slug}`);
    for (const path of [...pages, ...lists]) {
      await page.setViewportSize({ width: 1280, height: 800 });
      await page.goto(plane.ui + path);
      await page.getByRole('heading', { level: 1 }).first().waitFor();
      await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' });
      const next = page.getByRole('main').locator('a, button:enabled');
      expect(await next.count(), `${path} says nothing of what to do`).toBeGreaterThan(0);
      for (const width of [1280, 400]) {
        await page.setViewportSize({ width, height: 800 });
        await expect.poll(() => overflow(page), { message: `${path} at ${width}` }).toBe(0);
        if (pages.includes(path)) expect(await barriers(page), `${path} at ${width}`).toEqual([]);
      }
    }
  }, 400_000);
});

describe('every form', () => {
  /** What is folded in, and what is not there until one adds it. */
  const MORE = /^(?:More settings|\d+ settings of|Add to|Set) /;

  /** Filled in by the control plane, or chosen before. */
  const NOT_ASKED = /^(?:id|created_at|updated_at|name)$/;

  /** What the schema says of every field that a form has. */
  function meanings(rules: unknown): readonly string[] {
    if (!isRecord(rules)) return [];
    const fields = Array.isArray(rules.fields) ? rules.fields.flatMap((one) => Object.values(recordOrEmpty(one))) : [];
    return [
      ...fields.map(recordOrEmpty).flatMap((field) => [String(field.description ?? ''), ...meanings(field)]),
      ...meanings(rules.elements),
      ...meanings(rules.values),
    ].filter((text) => text !== '');
  }

  it.each([
    ...KINDS.filter(({ name, under }) => under === undefined && name !== 'plugins' && name !== 'vaults').map(
      ({ name, slug }) => [name, `/config/${slug}/new`] as const,
    ),
    ...['acme', 'ai-proxy', 'opentelemetry', 'request-transformer'].map(
      (name) => [`plugins/${name}`, `/config/plugins/new?plugin=${name}`] as const,
    ),
  ])('says of each of its fields what it means: %s', async (schema, where) => {
    const { fields } = await admin(`${plane.admin}/schemas/${schema}?extensions=true`);
    const asked = (Array.isArray(fields) ? fields : []).filter((one) =>
      Object.entries(recordOrEmpty(one)).some(
        ([name, rules]) => !NOT_ASKED.test(name) && !('eq' in recordOrEmpty(rules)),
      ),
    );
    const said = meanings({ fields: asked });
    expect(said.length).toBeGreaterThan(0);
    await page.goto(plane.ui + where);
    const form = page.locator('form');
    await form.locator('button[type=submit]').waitFor();
    const pressed = new Set<string>();
    for (;;) {
      const more = await form.getByRole('button', { name: MORE }).all();
      const names = more.map(async (one) => (await one.getAttribute('aria-label')) ?? (await one.innerText()).trim());
      const next = (await Promise.all(names)).find((name) => !pressed.has(name));
      if (next === undefined) break;
      pressed.add(next);
      await form.getByRole('button', { name: next, exact: true }).first().click();
    }
    await expect
      .poll(async () => {
        const text = await form.innerText();
        return [...new Set(said)].filter((one) => !text.includes(one));
      })
      .toEqual([]);
  });
});

describe('every kind of entity', () => {
  it.each(STORIES)(
    'is made, found and changed by hand: $singular',
    async ({ from, singular, create, name, edit, stored }) => {
      if (from[0] === 'menu') {
        await page.goto(plane.ui);
        await link(from[1]).click();
        await link(`New ${singular}`).click();
      } else {
        await page.goto(plane.ui + (pages.get(`${from[1]} ${from[2]}`) ?? expect.fail(`${from[2]} was not made`)));
        await link(from[3]).first().click();
      }
      await fillIn(page, create);
      await button(`Create ${singular}`).click();
      await page.getByText(new RegExp(`^Created ${singular} `)).waitFor();
      if (from[0] === 'row') await page.getByRole('link', { name, exact: true }).first().click();
      await page
        .getByRole('heading', { level: 1, name: from[0] === 'row' && name instanceof RegExp ? /./ : name })
        .waitFor();
      await page.waitForURL(/[0-9a-f-]{36}/);
      const { pathname, search } = new URL(page.url());
      const [, , slug = '', id = ''] = pathname.split('/');
      pages.set(`${slug} ${String(name)}`, pathname + search);
      if (await page.getByRole('tab', { name: 'What belongs to it' }).isVisible())
        await page.getByRole('tab', { name: 'Settings', exact: true }).click();
      await fillIn(page, edit);
      await button('Save').click();
      await page.getByText(new RegExp(`^Saved ${singular} `)).waitFor();
      const [path, row] = stored;
      expect(await admin(plane.admin + path.replace(':id', id))).toMatchObject(row);
    },
  );
});

const path = (of: string): string => pages.get(of) ?? expect.fail(`${of} was not made`);
const idIn = (address: string): string => address.split('/')[3]?.split('?')[0] ?? '';

describe('what is copied', () => {
  const textOf = async () => String(await page.evaluate('navigator.clipboard.readText()'));
  const copy = async (what: string): Promise<string> => {
    await page.evaluate(`navigator.clipboard.writeText('')`);
    await button(`Copy the ${what}`).click();
    await expect.poll(textOf, { message: `nothing was copied of ${what}` }).not.toBe('');
    return textOf();
  };
  /** Runs a command as a person would, in a shell. */
  const shell = async (command: string): Promise<Readonly<Row>> =>
    recordOrEmpty(JSON.parse((await run('sh', ['-c', `${command} -s`])).stdout));
  const stable = ({ updated_at: _, created_at: __, ...row }: Readonly<Row>) => row;

  beforeAll(() => browser.context.grantPermissions(['clipboard-read', 'clipboard-write']));

  it.each(STORIES)('as curl and as a decK file is the same again: $singular', async ({ singular, name, stored }) => {
    const [key = '', address = ''] =
      [...pages].find(([one]) => one.endsWith(` ${String(name)}`) && one.startsWith(slugOf(stored[0]))) ??
      expect.fail(`no ${singular} was made`);
    const where = plane.admin + stored[0].replace(':id', idIn(address));
    const before = await admin(where);
    await page.goto(plane.ui + address);
    await tab('As text').click();
    const said = await shell(await copy('curl'));
    expect(said, key).not.toHaveProperty('fields');
    expect(stable(recordOrEmpty((await admin(where)).consumer_group ?? (await admin(where))))).toEqual(
      stable(recordOrEmpty(before.consumer_group ?? before)),
    );
    const json: unknown = JSON.parse(await copy('JSON'));
    expect(json).toMatchObject({ id: idIn(address) });
    if (!(await button('Copy the decK (kong.yml)').isVisible())) {
      expect(NOT_IN_FILES).toContain(singular);
      return;
    }
    expect(NOT_IN_FILES).not.toContain(singular);
    const deck = await copy('decK (kong.yml)');
    const response = await fetch(`${plane.admin}/config/diff`, {
      method: 'POST',
      body: deck,
      headers: { 'content-type': 'application/yaml' },
    });
    const diff = recordOrEmpty(await response.json());
    expect([response.status, diff.message]).toEqual([200, undefined]);
    const changes = (Array.isArray(diff.data) ? diff.data : []).map(recordOrEmpty);
    // All else would go, since it is not in the file; the row itself stays as it is, but for a password: that is kept as a hash.
    if (singular !== 'password') expect(changes.map(({ id }) => id)).not.toContain(idIn(address));

    const file = join(folder, 'copied.yml');
    writeFileSync(file, deck);
    const read = await runDeck(plane.admin, folder, 'diff', file, '--json-output');
    if (NOT_OF_DECK.includes(singular)) {
      expect(read.output).toContain('is not allowed');
      return;
    }
    expect(read.code, read.output).toBe(0);
    const { creating, updating } = recordOrEmpty(recordOrEmpty(JSON.parse(read.stdout)).changes);
    expect(creating).toEqual([]);
    const updated = (Array.isArray(updating) ? updating : []).map((one) => recordOrEmpty(recordOrEmpty(one).body).new);
    if (singular !== 'password') expect(updated).not.toContainEqual(expect.objectContaining({ id: idIn(address) }));
  });

  it('as curl from a form is what the form would make, and from a changed one what it would change', async () => {
    await page.goto(`${plane.ui}/config/services/new`);
    await fillIn(page, [
      ['type', 'Name', "it's-copied"],
      ['type', 'Host', 'copied.internal'],
      ['words', 'Tags', "a'b"],
    ]);
    const refused = await shell(await copy('curl command'));
    expect(refused).toMatchObject({ fields: { name: expect.any(String) } });
    await fillIn(page, [['type', 'Name', 'copied']]);
    const made = await shell(await copy('curl command'));
    expect(made).toMatchObject({ name: 'copied', host: 'copied.internal', port: 80, tags: ["a'b"] });
    await page.goto(`${plane.ui}/config/services/${made.id}`);
    await tab('Settings').click();
    await fillIn(page, [['type', 'Port', '8081']]);
    await shell(await copy('curl command'));
    expect(await admin(`${plane.admin}/services/copied`)).toMatchObject({ port: 8081, host: 'copied.internal' });
    await admin(`${plane.admin}/services/copied`, 'DELETE');
  });
});

/** Kinds that no declarative file has. */
const NOT_IN_FILES: readonly string[] = ['data plane group', 'workspace'];
/** What Holdfast reads of a file, and decK does not know: tokens, and the modules of a plugin. */
const NOT_OF_DECK: readonly string[] = ['OAuth 2 token', 'plugin in Lua'];

describe('the page of a service', () => {
  it('has all that requests to it meet: its routes with their plugins, its own, its upstream and the targets', async () => {
    const [service, route] = [path('services shop'), path('routes shop-route')];
    const cors = await admin(`${plane.admin}/routes/${idIn(route)}/plugins`, 'POST', { name: 'cors' });
    const { id } = await admin(`${plane.admin}/services/shop/plugins`, 'POST', { name: 'correlation-id' });
    const part = (name: string) => page.getByRole('region', { name, exact: true });
    await page.goto(plane.ui + service);
    await part('Upstream').getByRole('link', { name: '10.0.0.1:8080' }).waitFor();
    await part('Upstream').getByText('weight 7', { exact: true }).waitFor();
    await part('Routes').getByText('GET  /shop, ~/a(?<b>.)$').waitFor();
    await part('Plugins').getByRole('link', { name: 'correlation-id' }).waitFor();
    for (const [within, name] of [
      ['Routes', 'cors'],
      ['Routes', 'shop-route'],
      ['Upstream', 'shop.upstream'],
      ['Upstream', '10.0.0.1:8080'],
    ] as const) {
      await part(within).getByRole('link', { name, exact: true }).click();
      await page.getByRole('heading', { level: 1, name }).waitFor();
      await page.goBack();
    }
    for (const plugin of [cors.id, id]) await admin(`${plane.admin}/plugins/${plugin}`, 'DELETE');
  });
});

describe('plugins', () => {
  it.each(PLUGINS)(
    'are made from the page of what they are for, and changed by hand: %s',
    async (name, create, edit, stored) => {
      await page.goto(plane.ui + path('services shop'));
      await link('Add a plugin').click();
      await page.getByLabel('Find a plugin').fill(name);
      await page.getByRole('link', { name: new RegExp(`^${name} `) }).click();
      await fillIn(page, create);
      await button('Create plugin').click();
      await link(name).click();
      await page.getByRole('heading', { level: 1, name }).waitFor();
      await fillIn(page, edit);
      await button('Save').click();
      await page.getByText(`Saved plugin ${name}`).waitFor();
      const id = idIn(new URL(page.url()).pathname);
      const row = await admin(`${plane.admin}/plugins/${id}`);
      expect(row).toMatchObject({ service: { id: idIn(path('services shop')) }, config: stored });
      await button('Delete').click();
      await button('Delete it').click();
      await page.getByText(`Deleted plugin ${name}`).waitFor();
      expect((await fetch(`${plane.admin}/plugins/${id}`)).status).toBe(404);
    },
  );

  it('in Lua are chosen among the others as soon as they are sent', async () => {
    await page.goto(`${plane.ui}/config/plugins/new`);
    await page
      .getByRole('region', { name: 'Your own' })
      .getByRole('link', { name: /^hello/ })
      .click();
    await fillIn(page, [['type', 'Word', 'world']]);
    await button('Create plugin').click();
    await page.getByText('Created plugin hello').waitFor();
    const { data } = await admin(`${plane.admin}/plugins`);
    expect(data).toMatchObject([{ name: 'hello', config: { word: 'world' } }]);
    await button('Delete').click();
    await button('Delete it').click();
    await page.getByText('Deleted plugin hello').waitFor();
  });
});

describe('consumers', () => {
  it('are put into groups and taken out, on the page of the group and on their own', async () => {
    await page.goto(plane.ui + path('consumer_groups gold'));
    await page.getByText('No consumer is in it yet').waitFor();
    await page.getByRole('combobox', { name: 'Add a consumer to this group' }).click();
    await page.getByRole('option', { name: 'grace' }).click();
    await page.getByText('Added grace').waitFor();
    await link('grace').click();
    await page.getByRole('region', { name: 'Consumer groups' }).getByRole('link', { name: 'gold' }).waitFor();
    expect(await admin(`${plane.admin}/consumer_groups/gold`)).toMatchObject({ consumers: [{ username: 'grace' }] });
    await button('Remove gold').click();
    await page.getByText('It is in no group').waitFor();
    expect(await admin(`${plane.admin}/consumer_groups/gold`)).toMatchObject({ consumers: [] });
  });
});

describe('a refused value', () => {
  it.each(REFUSED)('is told at the field it is about: %s', async (_, where, steps, label, told) => {
    await page.goto(plane.ui + where);
    await fillIn(page, steps);
    await page.locator('form button[type=submit]').click();
    const input = page
      .locator('form')
      .locator('input, textarea')
      .and(
        page
          .getByRole('textbox', { name: label, exact: true })
          .or(page.getByRole('combobox', { name: label, exact: true })),
      );
    await expect
      .poll(async () => (await input.first().getAttribute('aria-invalid')) ?? 'not marked', {
        message: `${label} is not marked`,
      })
      .toBe('true');
    const described = (await input.first().getAttribute('aria-describedby')) ?? '';
    const said = await Promise.all(described.split(' ').map((id) => page.locator(`[id="${id}"]`).allInnerTexts()));
    expect(said.flat()).toContainEqual(expect.stringMatching(told));
  });
});

describe('two who save the same row in the same moment', () => {
  it('lose nothing: the second is shown what the first did, setting by setting', async () => {
    const { id } = await admin(`${plane.admin}/plugins`, 'POST', {
      name: 'rate-limiting',
      config: { minute: 5, policy: 'local' },
    });
    const other = await browser.context.newPage();
    const both = [page, other];
    for (const [at, one] of both.entries()) {
      await one.goto(`${plane.ui}/config/plugins/${id}`);
      await fillIn(one, [
        ['type', 'Minute', String(6 + at)],
        ...(at === 0 ? ([['type', 'Hour', '100']] as const) : []),
      ]);
    }
    // Each has read the row before either has written: from here on only the control plane can tell.
    let waiting = 0;
    let go = (): void => undefined;
    const gate = new Promise<void>((open) => {
      go = open;
    });
    for (const one of both) {
      await one.route(`**/plugins/${id}`, async (route) => {
        if (route.request().method() !== 'PATCH') return route.continue();
        waiting += 1;
        if (waiting === 2) go();
        await gate;
        return route.continue();
      });
    }
    await Promise.all(both.map((one) => one.getByRole('button', { name: 'Save', exact: true }).click()));
    const outcomes = await Promise.all(
      both.map((one) =>
        Promise.race([
          one
            .getByText('Saved plugin rate-limiting')
            .waitFor()
            .then(() => 'saved'),
          one
            .getByText('Somebody else has changed this since you opened it')
            .waitFor()
            .then(() => 'shown'),
        ]),
      ),
    );
    expect([...outcomes].sort()).toEqual(['saved', 'shown']);
    const loser = both[outcomes.indexOf('shown')] ?? expect.fail('nobody was shown anything');
    await loser.getByText('Config › Minute').waitFor();
    await loser.getByRole('button', { name: 'Keep my changes on top of theirs' }).click();
    await loser.getByRole('button', { name: 'Save', exact: true }).click();
    await loser.getByText('Saved plugin rate-limiting').waitFor();
    expect(await admin(`${plane.admin}/plugins/${id}`)).toMatchObject({
      config: { minute: loser === page ? 6 : 7, hour: 100 },
    });
    await other.close();
    await admin(`${plane.admin}/plugins/${id}`, 'DELETE');
  });
});

describe('every kind of entity', () => {
  it.each(STORIES.toReversed())('is deleted by hand: $singular', async ({ singular, name, stored, from }) => {
    const [of, address] =
      [...pages].find(([key]) => key.endsWith(` ${String(name)}`) && key.startsWith(slugOf(stored[0]))) ??
      expect.fail(`${from.join(' ')} was not made`);
    await page.goto(plane.ui + address);
    await button('Delete').click();
    await page.getByText(`Delete this ${singular}?`).waitFor();
    await button('Delete it').click();
    await page.getByText(new RegExp(`^Deleted ${singular} `)).waitFor();
    const gone = await fetch(plane.admin + stored[0].replace(':id', idIn(address)));
    expect(gone.status, of).toBe(404);
  });
});

/** The Manager's word for a kind, from where its rows are in the Admin API. */
const slugOf = (where: string): string => where.split('/').at(-2) ?? '';
