import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startMiniflareHost } from '../../../edge-dp/hosts/miniflare/host.ts';
import { newPrefix, optionsFor } from './node.ts';

test('what it cannot serve is refused by name, and its egress server is gone', async () => {
  const prefix = newPrefix();
  const listener = { host: '127.0.0.1', port: 0 };
  await expect(startMiniflareHost(optionsFor(prefix, { proxyListen: [listener, listener] }))).rejects.toThrow(
    'proxy_listen: the Miniflare host has one listener of a kind',
  );
  expect(existsSync(join(prefix, 'run'))).toBe(false);
  rmSync(join(prefix, '..'), { recursive: true });
});
