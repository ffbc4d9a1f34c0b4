import { defineConfig } from 'vitest/config';

// Two cores: more workers than that only make real processes (workerd, PostgreSQL) starve each other.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/lua.ts'],
    // Those need programs of the machine: `npm run test:peers`.
    exclude: ['test/peers/**'],
    maxWorkers: 2,
    // Waits have limits of their own, and say what is missing; this is for machines that are slow throughout.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // Only how long a failing poll goes on; the default of a second fails on a busy machine what would have come.
    expect: { poll: { timeout: 30_000 } },
  },
});
