/** SQLite's primary result code of an error (sqlite3.h): extended ones carry it in their low byte. Null: the error is not SQLite's. */
export function sqliteCode(error: unknown): number | null {
  const code: unknown = error instanceof Error && 'errcode' in error ? error.errcode : null;
  return typeof code === 'number' ? code & 0xff : null;
}
