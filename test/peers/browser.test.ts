import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DataPlane } from '../../edge-dp/hosts/options.ts';
import { startWorkerdHost } from '../../edge-dp/hosts/workerd/host.ts';
import { isRecord } from '../../shared/record.ts';
import { type RunningControlPlane, runControlPlane } from '../cp/running-control-plane.ts';
import { nodeOptions } from '../edge-dp/hosts.ts';
import { startChromium } from './chromium.ts';

/** Whoever wrote the page at this name has it resolve to the machine of whoever looks at it. */
const ATTACKER = 'evil.test';

let folder: string;
let plane: RunningControlPlane;
let node: DataPlane;
let attacker: Server;
let browser: BrowserContext;
let page: Page;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'browser '));
  plane = await runControlPlane();
  node = await startWorkerdHost(nodeOptions(join(folder, 'node'), null));
  attacker = createServer((_, response) =>
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>A nice page</title>'),
  );
  await new Promise<void>((resolve) => attacker.listen(0, '127.0.0.1', resolve));
  browser = await startChromium([ATTACKER]);
});
afterAll(async () => {
  await browser?.close();
  attacker?.closeAllConnections();
  attacker?.close();
  await node?.stop(0);
  await plane?.stop();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  page = await browser.newPage();
  await fetch(`${plane.admin}/services/secret`, {
    method: 'PUT',
    body: '{"host":"secret.internal"}',
    headers: { 'content-type': 'application/json' },
  });
});
afterEach(async () => {
  await page.close();
  for (const name of (await services()).keys()) await fetch(`${plane.admin}/services/${name}`, { method: 'DELETE' });
});

/** The services' rows by name. */
async function services(): Promise<ReadonlyMap<unknown, unknown>> {
  const body: unknown = await (await fetch(`${plane.admin}/services`)).json();
  const rows = isRecord(body) && Array.isArray(body.data) ? body.data.filter(isRecord) : [];
  return new Map(rows.map((row) => [row.name, row]));
}

async function expectNothingChanged(): Promise<void> {
  expect([...(await services()).values()]).toEqual([
    expect.objectContaining({ name: 'secret', host: 'secret.internal' }),
  ]);
  expect(plane.log.filter((line) => line.includes('[error]'))).toEqual([]);
}

interface Sent {
  readonly method?: string;
  readonly mode?: 'cors' | 'no-cors';
  readonly contentType?: string;
  readonly body?: string;
}

/** What a script of the page gets from `fetch` with credentials: `status body`, or the name of the error. */
function fetchInPage(url: string, sent: Sent = {}): Promise<string> {
  return page.evaluate(
    async ({ url, method = 'GET', mode = 'cors', contentType, body }) => {
      try {
        const response = await fetch(url, {
          method,
          mode,
          credentials: 'include',
          ...(body === undefined ? {} : { body }),
          ...(contentType === undefined ? {} : { headers: { 'content-type': contentType } }),
        });
        return `${response.status} ${await response.text()}`;
      } catch (error) {
        return error instanceof Error ? error.name : String(error);
      }
    },
    { url, ...sent },
  );
}

/** Sends a form by navigation, as a page's own button would, and gives the text that is shown then. */
async function submitForm(action: string, enctype: string, fields: Readonly<Record<string, string>>): Promise<string> {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name='${name}' value='${value}'>`);
  await page.setContent(`<form method=post enctype='${enctype}' action='${action}'>${inputs.join('')}<button>`);
  await Promise.all([page.waitForEvent('framenavigated'), page.click('button')]);
  return page.innerText('body');
}

describe('a page of the web', () => {
  beforeEach(async () => {
    await page.goto(`http://${ATTACKER}:${(attacker.address() as AddressInfo).port}/`);
  });

  it('cannot read with credentials', async () => {
    expect(await fetchInPage(`${plane.admin}/services`)).toBe('TypeError');
    expect(await fetchInPage(`${plane.admin}/services`, { mode: 'no-cors' })).toBe('TypeError');
    expect(await fetchInPage(`http://127.0.0.1:${node.statusAddresses[0]?.port}/status`)).toBe('TypeError');
  });

  it.each(['POST', 'PUT', 'PATCH', 'DELETE'])('cannot %s: the preflight does not allow it', async (method) => {
    const path = method === 'POST' ? '/services' : '/services/secret';
    const sent = { method, contentType: 'application/json', body: '{"name":"forged","host":"h"}' };
    expect(await fetchInPage(plane.admin + path, sent)).toBe('TypeError');
    await expectNothingChanged();
  });

  it.each([
    ['text/plain', '{"name":"forged","host":"h"}'],
    ['application/x-www-form-urlencoded', 'name=forged&host=h'],
  ])('cannot post %s, which asks for no preflight', async (contentType, body) => {
    for (const path of ['/services', '/config', '/services/secret/routes']) {
      const sent = { method: 'POST', contentType, body, mode: 'no-cors' } as const;
      expect(await fetchInPage(plane.admin + path, sent)).toBe('0 ');
      await page.evaluate(`navigator.sendBeacon(${JSON.stringify(plane.admin + path)}, ${JSON.stringify(body)})`);
    }
    await expectNothingChanged();
  });

  it.each(['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'])(
    'cannot post a form of %s',
    async (enctype) => {
      const shown = await submitForm(`${plane.admin}/services`, enctype, { name: 'forged', host: 'h' });
      expect(shown).toContain('may not change anything here');
      await expectNothingChanged();
    },
  );

  it('cannot drain the data plane by a form', async () => {
    const status = `http://127.0.0.1:${node.statusAddresses[0]?.port}/status/ready`;
    const shown = await submitForm(status, 'application/x-www-form-urlencoded', { status: 'draining' });
    expect(shown).toContain('the Status API is not for browsers');
    expect(await (await fetch(status)).text()).not.toContain('draining');
  });

  it('gets nothing by rebinding its own name to this machine', async () => {
    const { port } = new URL(plane.admin);
    // A document of this origin, in which scripts of the page would run that was loaded before the name was changed.
    await page.goto(`http://${ATTACKER}:${port}/`);
    const refused = new RegExp(`^403 .*'${ATTACKER}:${port}' is not a name of this server`);
    expect(await fetchInPage('/services')).toMatch(refused);
    const sent = { method: 'POST', contentType: 'application/json', body: '{"name":"forged","host":"h"}' };
    expect(await fetchInPage('/services', sent)).toMatch(refused);
    expect(await fetchInPage('/services/secret', { method: 'DELETE' })).toMatch(refused);
    await expectNothingChanged();
  });

  it('that is framed by the web UI’s rebound name finds no UI there', async () => {
    await page.goto(`http://${ATTACKER}:${new URL(plane.ui).port}/`);
    expect(await page.innerText('body')).toContain('is not a name of this server');
  });
});

describe('the web UI', () => {
  it.each(['127.0.0.1', 'localhost'])('at %s finds the Admin API and works with it', async (host) => {
    const ui = new URL(plane.ui);
    ui.hostname = host;
    await page.goto(ui.href);
    await page.addScriptTag({ url: '/kconfig.js' });
    const port = await page.evaluate('K_CONFIG.ADMIN_API_PORT');
    const api = `http://${host}:${port}`;
    expect(await fetchInPage(`${api}/services`)).toMatch(/^200 .*secret\.internal/);
    const json = { contentType: 'application/json' };
    const made = { ...json, method: 'POST', body: '{"name":"made","host":"h"}' };
    expect(await fetchInPage(`${api}/services`, made)).toMatch(/^201 /);
    const changed = { ...json, method: 'PATCH', body: '{"host":"other"}' };
    expect(await fetchInPage(`${api}/services/made`, changed)).toMatch(/^200 .*"host":"other"/);
    expect(await fetchInPage(`${api}/services`, { ...json, method: 'POST', body: '{}' })).toMatch(/^400 .*required/);
    expect(await fetchInPage(`${api}/services/made`, { method: 'DELETE' })).toMatch(/^204 /);
  });
});
