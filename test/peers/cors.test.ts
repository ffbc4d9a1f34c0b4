import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../edge-dp/proxy/gateway.ts';
import { startChromium } from './chromium.ts';

/** What a browser lets pages do with the answers of the cors plugin: the protocol of the Fetch standard, section 3.2. */

let pages: Server;
let upstream: Server;
let gateway: RunningGateway;
let browser: BrowserContext;
let page: Page;
let stranger: Page;

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  pages = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html>'));
  upstream = createServer((request, response) => {
    response.writeHead(200, { 'X-Shown': 'shown', 'X-Hidden': 'hidden' });
    response.end(`${request.method} ${request.headers.cookie ?? 'no cookie'}`);
  });
  const [at, port] = [await listening(pages), await listening(upstream)];
  const cors = {
    origins: null,
    methods: ['GET', 'PUT'],
    headers: null,
    exposed_headers: null,
    max_age: null,
    credentials: false,
    private_network: false,
    preflight_continue: false,
    allow_origin_absent: true,
  };
  const route = (id: string) => ({ id, paths: [`/${id}`], protocols: ['http'], service: { id: 's' } });
  gateway = await startGateway({
    tables: {
      services: [{ id: 's', protocol: 'http', host: '127.0.0.1', port }],
      routes: ['strict', 'any', 'none'].map(route),
      plugins: [
        {
          id: 'p1',
          name: 'cors',
          route: { id: 'strict' },
          config: {
            ...cors,
            origins: [`http://page.test:${at}`],
            headers: ['X-Asked'],
            exposed_headers: ['X-Shown'],
            max_age: 600,
            credentials: true,
          },
        },
        { id: 'p2', name: 'cors', route: { id: 'any' }, config: { ...cors, origins: ['*'] } },
      ],
    },
  });
  browser = await startChromium(['page.test', 'other.test', 'gateway.test']);
  page = await browser.newPage();
  await page.goto(`http://page.test:${at}/`);
  stranger = await browser.newPage();
  await stranger.goto(`http://other.test:${at}/`);
});

afterAll(async () => {
  await browser?.close();
  await gateway?.stop();
  for (const server of [pages, upstream]) {
    server?.closeAllConnections();
    server?.close();
  }
});

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly credentials?: 'include';
}

/** What a page gets to see; `blocked` where the browser keeps it from it. */
async function seen(from: Page, path: string, init: Asked = {}): Promise<unknown> {
  const url = `http://gateway.test:${gateway.port}${path}`;
  return await from.evaluate(
    async ([target, options]) => {
      try {
        const response = await fetch(target, options);
        const { headers } = response;
        return { text: await response.text(), shown: headers.get('x-shown'), hidden: headers.get('x-hidden') };
      } catch {
        return 'blocked';
      }
    },
    [url, init] as const,
  );
}

describe('a page of an origin that is allowed', () => {
  it('reads answers, and of their headers those that are exposed', async () => {
    expect(await seen(page, '/strict')).toEqual({ text: 'GET no cookie', shown: 'shown', hidden: null });
  });

  it('sends what the preflight allows', async () => {
    const asked = { method: 'PUT', headers: { 'X-Asked': '1', 'X-ASKED': '2' } };
    expect(await seen(page, '/strict', asked)).toMatchObject({ text: 'PUT no cookie' });
    // Within `max_age` the browser does not ask again.
    expect(await seen(page, '/strict', asked)).toMatchObject({ text: 'PUT no cookie' });
  });

  it.each<[string, Asked]>([
    ['a method that is not allowed', { method: 'DELETE' }],
    ['a header that is not allowed', { headers: { 'X-Other': '1' } }],
    ['one of two headers that is not', { headers: { 'X-Asked': '1', 'X-Other': '1' } }],
    [
      'a body of a type that asks first',
      { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: '{}' },
    ],
  ])('cannot send %s', async (_, init) => {
    expect(await seen(page, '/strict', init)).toBe('blocked');
  });

  it('sends credentials where they are allowed, and nowhere else', async () => {
    await browser.addCookies([{ name: 'a', value: '1', domain: 'gateway.test', path: '/' }]);
    // Another site's cookies are kept back by the browser's own rules; the answer is readable all the same.
    expect(await seen(page, '/strict', { credentials: 'include' })).toMatchObject({ shown: 'shown' });
    expect(await seen(page, '/any', { credentials: 'include' })).toBe('blocked');
    expect(await seen(page, '/any')).toMatchObject({ text: 'GET no cookie' });
  });
});

it('a page of another origin reads nothing but what is for all', async () => {
  expect(await seen(stranger, '/strict')).toBe('blocked');
  expect(await seen(stranger, '/strict', { method: 'PUT' })).toBe('blocked');
  expect(await seen(stranger, '/any')).toMatchObject({ text: 'GET no cookie' });
  expect(await seen(stranger, '/any', { method: 'PUT', headers: { 'X-Whatever': '1' } })).toMatchObject({
    text: 'PUT no cookie',
  });
  expect(await seen(stranger, '/none')).toBe('blocked');
});
