import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../../shared/thrown.ts';

/**
 * Makes the prefix, readable by its owner only, where it is not there yet. Throws with the setting's name, the folder and
 * the reason when it cannot be made or written to.
 */
export function makePrefix(prefix: string): void {
  const missing: string[] = [];
  // One by one: Node's recursive mkdir never returns where a file system refuses new folders with ENOENT (/proc).
  for (let path = prefix; !existsSync(path); path = dirname(path)) missing.push(path);
  try {
    for (const path of missing.reverse()) mkdirSync(path, { mode: 0o700 });
    accessSync(prefix, constants.W_OK);
  } catch (error) {
    const reason = messageOf(error);
    throw new Error(`prefix: ${prefix} cannot be written to (${reason}); choose another folder with --prefix`);
  }
}
