import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const MEASURE = fileURLToPath(new URL('../workers/split-memory.ts', import.meta.url));

test('two configs of 10,000 services and routes that share most take less than 1.2 times the memory of one', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', MEASURE]);
  const { once, twice }: { once: number; twice: number } = JSON.parse(stdout);
  console.info(`${Math.round(once / 1e6)} MB once, ${(twice / once).toFixed(3)} times that twice`);
  expect(once).toBeGreaterThan(1e6);
  expect(twice / once).toBeLessThan(1.2);
});
