import type { Log } from './run.ts';

/** Milliseconds for which the same trouble is not told again: every read and write that fails has several lines. */
const QUIET = 60_000;

/** What there is to do, by SQLite's primary result code. */
const REMEDIES: Readonly<Record<string, string>> = {
  FULL: 'free space on this disk; new config is not taken before',
  READONLY: 'make this folder writable again; new config is not taken before',
  IOERR: 'check the disk, and whether it is full',
  CANTOPEN: 'check the owner and the permissions of this folder',
  CORRUPT: 'restart: damaged files are set aside, and their content comes back from the control plane',
  NOTADB: 'restart: damaged files are set aside, and their content comes back from the control plane',
};

/** Turns workerd's lines about failing Durable Object storage in `folder` into one that says where and what to do. */
export function tellingStorageTrouble(folder: string, log: Log, now: () => number = Date.now): Log {
  const told = new Map<string, number>();
  return (level, message) => {
    const [, text, code] = /SQLite failed; .*? = (.*?: SQLITE_([A-Z]+))/.exec(message) ?? [];
    if (text === undefined || code === undefined) {
      log(level, message);
      return;
    }
    const last = told.get(code);
    if (last !== undefined && Math.abs(now() - last) < QUIET) return;
    told.set(code, now());
    const remedy = REMEDIES[code] ?? 'check the disk';
    log('error', `the data plane's storage in ${folder} fails (${text}): ${remedy}. The config in memory serves on`);
  };
}
