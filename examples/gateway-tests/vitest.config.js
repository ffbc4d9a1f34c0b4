import { defineConfig } from 'vitest/config';

// A gateway starts in seconds, but on a machine that does much else, as those for CI do, it and its answers may take longer.
export default defineConfig({ test: { testTimeout: 60_000, hookTimeout: 120_000 } });
