import { messageOf } from '../../shared/thrown.ts';
import { ReadTimeout, withTimeout } from '../http/read-timeout.ts';
import { type Connection, ServiceError } from './runtime/services.ts';
import { patienceOf } from './services/patience.ts';

/**
 * Writes all of the bytes to a connection, and closes it where that cannot be done within `timeout` milliseconds: a peer that takes nothing
 * would hold who writes, and what is to be written, for ever. Throws `ServiceError`.
 */
export async function writeWhole(connection: Connection, bytes: Uint8Array, timeout: number): Promise<void> {
  const writer = connection.writable.getWriter();
  const patience = patienceOf(timeout);
  try {
    await withTimeout(writer.write(bytes), patience);
  } catch (error) {
    // Neither is waited for: they may want to write what is left before.
    void writer.abort(error).catch(() => undefined);
    void connection.close().catch(() => undefined);
    if (error instanceof ReadTimeout) throw new ServiceError('timeout', `not all was taken within ${patience} ms`);
    throw new ServiceError('unreachable', messageOf(error), { cause: error });
  }
  writer.releaseLock();
}
