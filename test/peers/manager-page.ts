import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { BrowserContext, Page } from 'playwright-core';
import { startChromium } from './chromium.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Machines are slow at times; every wait says what it waited for. */
const PATIENCE = 60_000;

/** A browser whose pages tell of what went wrong in them. */
export interface ManagerBrowser {
  readonly context: BrowserContext;
  /** What scripts threw, what a policy kept out, and what the browser complained of, but for requests that got no answer. */
  readonly complaints: readonly string[];
}

export async function startManagerBrowser(): Promise<ManagerBrowser> {
  const context = await startChromium([]);
  context.setDefaultTimeout(PATIENCE);
  const complaints: string[] = [];
  context.on('weberror', (error) => complaints.push(String(error.error())));
  context.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('Failed to load resource'))
      complaints.push(message.text());
  });
  return { context, complaints };
}

/** What axe finds against WCAG 2.2 AA and its best practices, as lines to read. */
export async function barriers(page: Page): Promise<readonly string[]> {
  await page.evaluate(AXE);
  // Colours of what is fading in are not those that stay; what stands for something that is read fades on and on.
  await page.evaluate(`Promise.all(document.getAnimations()
    .filter((animation) => animation.effect.getComputedTiming().endTime !== Infinity)
    .map((animation) => animation.finished.catch(() => null)))`);
  const found: unknown =
    await page.evaluate(`axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    .then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ': ' + html.slice(0, 200) + ' ' + failureSummary)))`);
  if (!Array.isArray(found)) throw new Error('axe gave no list');
  return found.map(String);
}

/** Pixels by which the page is wider than its window. */
export async function overflow(page: Page): Promise<number> {
  return Number(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'));
}
