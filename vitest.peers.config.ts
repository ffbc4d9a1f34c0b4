import { defineConfig } from 'vitest/config';

// Tests against programs that npm cannot bring: see test/peers/peer.ts. One at a time, since each peer is a process of its own.
export default defineConfig({
  test: {
    include: ['test/peers/**/*.test.ts'],
    setupFiles: ['test/lua.ts'],
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 15_000 } },
  },
});
