import { defineConfig } from 'vitest/config';
import everything from './vitest.config.ts';

// What `npm test` tries of data planes on one host, or on each in turn, on Node alone: see CONTRIBUTING.md. Left out is what needs no
// host, is about another, or names its hosts itself and so is tried on Node already.
const { projects: _, ...settings } = everything.test ?? {};

export default defineConfig({
  test: {
    ...settings,
    include: ['test/edge-dp/**/*.test.ts', 'test/e2e/**/*.test.ts', 'test/tls-listeners.test.ts'],
    exclude: [
      'test/edge-dp/**/workers/*.test.ts',
      'test/edge-dp/{http,router}/**',
      'test/edge-dp/balancer/{algorithms,failure-runs,least-connections,name-table,probe-schedule,target-health}.test.ts',
      'test/edge-dp/config/persistent-map.test.ts',
      'test/edge-dp/durable/{fitting,retention}.test.ts',
      'test/edge-dp/hosts/**',
      'test/edge-dp/plugins/{cases-on-*,grpc,registry}.test.ts',
      'test/edge-dp/plugins/case-runner/**',
      'test/edge-dp/proxy/{connection-end,fail-closed,leaving-clients,retries,slow-clients,smuggling,upstream-answers,websocket}.test.ts',
      'test/edge-dp/proxy/egress/**',
      'test/edge-dp/workspaces.test.ts',
    ],
    env: { TEST_HOST: 'node' },
  },
});
