import { type EventEmitter, once as nodesOnce } from 'node:events';

/** Node's `once` with a limit in milliseconds, behind which it rejects with what did not come. */
// biome-ignore lint/suspicious/noExplicitAny: as Node's own, what an event carries is not known.
export async function once(emitter: EventEmitter, event: string, limit = 60_000): Promise<any[]> {
  const late = AbortSignal.timeout(limit);
  try {
    return await nodesOnce(emitter, event, { signal: late });
  } catch (error) {
    if (!late.aborted) throw error;
    throw new Error(`waited ${limit / 1000} s for '${event}' of a ${emitter.constructor.name}`);
  }
}
