import { asSqlError, type Session, type SqlRow, type SqlValue, type Statement } from './database.ts';
import { unavailable } from './unavailable.ts';

/** Sends one statement over one connection. */
export type Send = (statement: Statement, values: readonly SqlValue[]) => Promise<SqlRow[]>;

/** A session inside an open transaction: its own transactions are savepoints. */
export function insideTransaction(send: Send, depth = 1): Session {
  const query = (statement: Statement | string, values: readonly SqlValue[] = []) => ask(send, statement, values);
  return {
    query,
    async transaction(work) {
      const savepoint = `level_${depth}`;
      await query(`SAVEPOINT ${savepoint}`);
      try {
        const result = await work(insideTransaction(send, depth + 1));
        await query(`RELEASE SAVEPOINT ${savepoint}`);
        return result;
      } catch (error) {
        // Where that fails too, the transaction is lost, and why stands in the first error.
        await query(`ROLLBACK TO SAVEPOINT ${savepoint}`).catch(() => {});
        throw error;
      }
    },
  };
}

/** One statement, with server errors in our own form: `DatabaseUnavailable` where they are about the server itself. */
export async function ask(send: Send, statement: Statement | string, values: readonly SqlValue[]): Promise<SqlRow[]> {
  try {
    return await send(typeof statement === 'string' ? { text: statement } : statement, values);
  } catch (error) {
    throw unavailable(error) ?? asSqlError(error) ?? error;
  }
}
