/** Milliseconds of silence after which the kernel asks a client for a sign of life, as it asks upstreams. */
export const KEEP_ALIVE = 60_000;
