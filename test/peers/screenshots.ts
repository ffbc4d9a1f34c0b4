import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { KINDS } from '../../cp/gui/web/config/kinds.ts';
import { startChromium } from './chromium.ts';

/**
 * Pictures of every page of the Manager at an address, in both themes at two widths:
 * `npm run screenshots -- [http://127.0.0.1:8002] [FOLDER]`. Of each list with rows the page of the first is among them.
 */
const [address = 'http://127.0.0.1:8002', folder = join(tmpdir(), 'holdfast-screenshots')] = process.argv.slice(2);
const LISTS = [
  '/data-planes',
  ...KINDS.filter(({ under }) => under === undefined).map(({ slug }) => `/config/${slug}`),
];
const PAGES = [
  '/',
  '/traffic',
  '/changes',
  '/releases',
  '/replay',
  '/traffic?span=day',
  '/explain',
  '/transfer',
  '/config/services/new',
  '/config/routes/new',
  '/config/plugins/new',
  '/config/plugins/new?plugin=rate-limiting',
  '/config/plugins/new?plugin=request-transformer',
];

mkdirSync(resolve(folder), { recursive: true });
const browser = await startChromium([]);
const page = await browser.newPage();

async function ready(path: string): Promise<void> {
  await page.goto(address + path);
  await page.getByRole('heading', { level: 1 }).first().waitFor();
  await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' });
  await page.evaluate('Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null)))');
}

async function take(name: string): Promise<void> {
  const file = join(resolve(folder), `${name}.png`);
  await page.screenshot({ path: file, fullPage: true });
  process.stdout.write(`${file}\n`);
}

const nameOf = (path: string): string => path.replace(/[^a-z]+/g, '-').replace(/^-|-$/g, '') || 'overview';

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [1280, 400]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 860 });
    for (const path of PAGES) {
      await ready(path);
      await take(`${nameOf(path)}-${colorScheme}-${width}`);
    }
    for (const path of LISTS) {
      await ready(path);
      await take(`${nameOf(path)}-${colorScheme}-${width}`);
      const first = page.getByRole('table').getByRole('row').nth(1).getByRole('link').first();
      const href = (await first.count()) === 0 ? null : await first.getAttribute('href');
      if (href === null) continue;
      await ready(href);
      await take(`${nameOf(path)}-one-${colorScheme}-${width}`);
    }
  }
}
await browser.close();
