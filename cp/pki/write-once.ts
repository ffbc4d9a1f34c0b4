import { randomUUID } from 'node:crypto';
import { existsSync, linkSync, rmSync, writeFileSync } from 'node:fs';
import { messageOf } from '../../shared/thrown.ts';
import { PkiError } from './error.ts';

/** Throws `PkiError`, naming them, when any of the files is there. */
export function refusePresent(files: readonly string[]): void {
  const present = files.filter((file) => existsSync(file));
  if (present.length === 0) return;
  throw new PkiError(`not overwriting ${present.join(', ')}: choose an empty folder, or move the old files away first`);
}

/**
 * Written whole, then linked: a power cut leaves no half file, and should another process have made it, that one stays.
 * Throws `PkiError`.
 */
export function writeOnce(file: string, text: string, mode: number): void {
  writeTogetherOnce([{ file, text, mode }]);
}

/** The same for files that are of no use without each other: all of them, or none. */
export function writeTogetherOnce(
  files: readonly { readonly file: string; readonly text: string; readonly mode: number }[],
): void {
  const named = files.map((one) => ({ ...one, whole: `${one.file}.${randomUUID()}` }));
  const linked: string[] = [];
  let writing = '';
  try {
    for (const { file, whole, text, mode } of named) {
      writing = file;
      writeFileSync(whole, text, { mode, flush: true });
    }
    for (const { file, whole } of named) {
      writing = file;
      linkSync(whole, file);
      linked.push(file);
    }
  } catch (error) {
    for (const file of linked) rmSync(file, { force: true });
    throw new PkiError(`cannot write ${writing}: ${messageOf(error)}`);
  } finally {
    for (const { whole } of named) rmSync(whole, { force: true });
  }
}
