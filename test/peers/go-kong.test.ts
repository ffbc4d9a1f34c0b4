import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { recordOrEmpty } from '../../shared/record.ts';
import { oneProcess } from '../e2e/one-process.ts';
import { holdfast } from '../e2e/processes.ts';
import { peerExecutable } from './peer.ts';

const run = promisify(execFile);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast go-kong '));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Why tests of go-kong leave a gateway out. */
const NOT_FOR_IT = [
  /^non-Enterprise test Kong instance, skipping$/,
  /^kong version 3\.9\.3 not in range /,
  /^detected Kong running in dbmode:"\w+" but requested dbmode:"\w+"$/,
  /^router flavor:"\w+"(?:, expecting "\w+",)? skipping$/,
  /^"wasm" is not enabled$/,
  /^Key without set fails until Kong\//,
  // One leaves itself out wherever it is run.
  /^$/,
];
/** Milliseconds. */
const STARTING_AND_ALL_TESTS = 600_000;

/** Of go-kong alone: its own default address, and what it makes of files beside its sources. */
const NOT_OF_A_GATEWAY = '^TestBaseRootURL$|DefaultsFromJSONSchema$';

it.each<[string, Record<string, string>]>([
  ['with a database', {}],
  ['with routes by expressions', { router_flavor: 'expressions' }],
  ['without a database', { database: 'off' }],
])(
  "passes go-kong's own tests %s, all that are for open Kong 3.9.3 so set up",
  async (name, settings) => {
    const at = await oneProcess(join(folder, name));
    const gateway = await holdfast(['start'], { ...at.settings, ...settings }, folder);
    onTestFinished(async () => {
      await gateway.end('SIGKILL');
    });
    const { stdout } = await run(peerExecutable('go-kong'), ['-test.v', '-test.skip', NOT_OF_A_GATEWAY], {
      cwd: folder,
      env: { ...process.env, KONG_ADMIN_URL: at.admin },
      maxBuffer: 64 << 20,
    }).catch((error: unknown) => ({ stdout: String(recordOrEmpty(error).stdout) }));
    const named = (outcome: string) =>
      [...stdout.matchAll(new RegExp(`^--- ${outcome}: (\\w+)`, 'gm'))].map(([, test]) => test);
    expect(named('FAIL'), stdout).toEqual([]);
    expect(stdout).toMatch(/^PASS$/m);
    const reasons = [...stdout.matchAll(/^ +\w+_test\.go:\d+: (.*)\n(?:\s*--- SKIP)/gm)].map(
      ([, reason = '']) => reason,
    );
    expect(reasons.filter((reason) => !NOT_FOR_IT.some((known) => known.test(reason)))).toEqual([]);
    expect(named('PASS').length).toBeGreaterThan(60);
  },
  STARTING_AND_ALL_TESTS,
);
