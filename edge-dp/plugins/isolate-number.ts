let number: number | null = null;

/**
 * A number that stands for this isolate, and its process, where Kong has the pid of a worker. Made when it is first asked for: a
 * Worker has no random numbers before its first request.
 */
export function isolateNumber(): number {
  number ??= 2 + ((crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) % LARGEST_PID);
  return number;
}

/** As Linux has it. */
const LARGEST_PID = 4_194_302;
