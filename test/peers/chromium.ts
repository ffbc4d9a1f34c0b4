import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { peerExecutable } from './peer.ts';

/** A Chromium with a profile of its own, for which these names are this machine. Closing it removes the profile. */
export async function startChromium(names: readonly string[]): Promise<BrowserContext> {
  const profile = mkdtempSync(join(tmpdir(), 'chromium '));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: peerExecutable('chromium'),
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--host-resolver-rules=${names.map((name) => `MAP ${name} 127.0.0.1`).join(', ')}`,
    ],
  });
  browser.once('close', () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
  return browser;
}
