import { asSqlError } from './database.ts';

const ATTEMPTS = 8;
/** serialization_failure and deadlock_detected: the server undid everything and asks to be tried again. */
const TRANSIENT = new Set(['40001', '40P01']);

/** Runs a transaction again when the server asks for it, with a growing random pause so that rivals come apart. */
export async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      const code = asSqlError(error)?.code;
      if (code === undefined || !TRANSIENT.has(code) || tries === ATTEMPTS) throw error;
      await pause(Math.random() * 5 * 2 ** tries);
    }
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
