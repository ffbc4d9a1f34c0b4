import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { recordOrEmpty } from '../../shared/record.ts';
import { peerExecutable } from './peer.ts';

const run = promisify(execFile);

/** What decK prints, and its exit code: of `diff --non-zero-exit-code`, 2 where something is different. */
export interface DeckRun {
  readonly code: number;
  readonly output: string;
  /** Without what it says besides. */
  readonly stdout: string;
}

/** Runs `deck gateway` against an Admin API, at home in a folder. */
export async function runDeck(adminUrl: string, folder: string, ...words: readonly string[]): Promise<DeckRun> {
  const shared = ['--kong-addr', adminUrl, '--no-color', '--analytics=false'];
  const done = run(peerExecutable('deck'), ['gateway', ...words, ...shared], {
    cwd: folder,
    env: { ...process.env, HOME: folder },
  });
  return done.then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr, stdout }),
    (error: unknown) => {
      const { code, stdout, stderr } = recordOrEmpty(error);
      return { code: Number(code), output: `${String(stdout)}${String(stderr)}`, stdout: String(stdout) };
    },
  );
}
