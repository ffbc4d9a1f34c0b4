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
  const whole = `${file}.${randomUUID()}`;
  try {
    writeFileSync(whole, text, { mode, flush: true });
    linkSync(whole, file);
  } catch (error) {
    throw new PkiError(`cannot write ${file}: ${messageOf(error)}`);
  } finally {
    rmSync(whole, { force: true });
  }
}
