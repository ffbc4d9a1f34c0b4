import type { HttpLimits } from '../../options.ts';

/** nginx's, and for requests of a connection Kong's. */
export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  headTimeout: 60_000,
  sendTimeout: 60_000,
  idleTimeout: 75_000,
  requests: 10_000,
  headBuffers: { count: 4, size: 8 << 10 },
};
