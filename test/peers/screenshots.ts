import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startChromium } from './chromium.ts';

/**
 * Pictures of every page of the Manager at an address, in both themes at two widths:
 * `npm run screenshots -- [http://127.0.0.1:8002] [FOLDER]`.
 */
const [address = 'http://127.0.0.1:8002', folder = join(tmpdir(), 'holdfast-screenshots')] = process.argv.slice(2);
const PAGES = [
  '/',
  '/data-planes',
  '/traffic',
  '/changes',
  '/releases',
  '/explain',
  '/transfer',
  '/config/services',
  '/config/services/new',
  '/config/routes',
  '/config/plugins/new',
  '/config/plugins/new?plugin=rate-limiting',
  '/config/consumers',
];

mkdirSync(resolve(folder), { recursive: true });
const browser = await startChromium([]);
const page = await browser.newPage();
for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [1280, 400]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 860 });
    for (const path of PAGES) {
      await page.goto(address + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' });
      const name = path.replace(/[^a-z]+/g, '-').replace(/^-|-$/g, '') || 'overview';
      const file = join(resolve(folder), `${name}-${colorScheme}-${width}.png`);
      await page.screenshot({ path: file, fullPage: true });
      process.stdout.write(`${file}\n`);
    }
  }
}
await browser.close();
