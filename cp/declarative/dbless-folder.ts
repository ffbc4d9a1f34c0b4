import { join, resolve } from 'node:path';

/**
 * Where an instance with `database = off` keeps its config: away from `pgdata`, which a document must not replace when
 * somebody only tries another `database` with the same prefix.
 */
export function dblessFolder(prefix: string): string {
  return join(resolve(prefix), 'dbless');
}

/** Where it keeps which document that config is from. */
export function loadedFile(prefix: string): string {
  return join(dblessFolder(prefix), 'loaded.json');
}
