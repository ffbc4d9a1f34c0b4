import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Nothing is known of earlier runs in a new clone, where Vitest takes large files for long ones: the longest are among the smallest, and
 * would begin when the others have ended.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => Number(LONGEST.test(b.moduleId)) - Number(LONGEST.test(a.moduleId)));
  }
}

const LONGEST = /\/test\/(?:e2e\/chaos|edge-dp\/plugins\/cases-on-\w+)\.test\.ts$/;

/**
 * What shares processes, and so loads the control plane once in each and not in each file: a third of their time was that. Such a file ends
 * what it starts, and puts back what it changes of the process.
 */
const TOGETHER = [
  'test/{cp,shared}/**/*.test.ts',
  'test/edge-dp/{http,lua,router}/**/*.test.ts',
  'test/edge-dp/**/workers/*.test.ts',
];
// Those need programs of the machine: `npm run test:peers`.
const PEERS = ['test/peers/**'];

// For two cores: half of the time a test waits for real processes (workerd, PostgreSQL), and another one can work.
export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'together', isolate: false, include: TOGETHER, exclude: PEERS } },
      { extends: true, test: { name: 'alone', include: ['test/**/*.test.ts'], exclude: [...TOGETHER, ...PEERS] } },
    ],
    setupFiles: ['test/lua.ts'],
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // Hundreds of processes of Node are started: each reads the code that the first has compiled.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compiled') },
    // Waits have limits of their own, and say what is missing; this is for machines that are slow throughout.
    testTimeout: 900_000,
    hookTimeout: 900_000,
    // Only how long a failing poll goes on; the default of a second fails on a busy machine what would have come.
    expect: { poll: { timeout: 60_000 } },
  },
});
