/**
 * How V8 runs in every workerd here. Most of what survives a young-generation collection wraps native objects, which makes large young
 * generations (V8's own 16 MB) slow to collect: pauses of 0.1 to 0.2 s. In one of 1 MB half of what requests in flight hold is promoted, which only a full
 * collection clears: under load it comes late, when hundreds of MB have gathered, and stops the process for seconds.
 */
export const V8_FLAGS: readonly string[] = ['--max-semi-space-size=4'];
