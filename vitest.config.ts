import { defineConfig } from 'vitest/config';

// Two cores: more workers than that only make real processes (workerd, PostgreSQL) starve each other.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
