import { expect, test } from 'vitest';
import { tellingStorageTrouble } from '../../../edge-dp/hosts/supervision/storage-trouble.ts';

test('a full disk is told once a minute, with the folder and the remedy, instead of in words of the runtime', () => {
  const lines: string[] = [];
  let now = 0;
  const log = tellingStorageTrouble(
    '/prefix/durable-objects',
    (level, message) => lines.push(`${level} ${message}`),
    () => now,
  );
  const full =
    'e = workerd/util/sqlite.c++:1671: failed: SENTRY_DO SQLite failed; dbErrorMessage(err, db) = database or disk is ' +
    'full: SQLITE_FULL; sentryErrorContext = jsgInternalError';
  log('error', full);
  log('error', full);
  log('info', 'another line');
  now = 61_000;
  log('error', full);
  const told =
    "error the data plane's storage in /prefix/durable-objects fails (database or disk is full: SQLITE_FULL): " +
    'free space on this disk; new config is not taken before. The config in memory serves on';
  expect(lines).toEqual([told, 'info another line', told]);
});
