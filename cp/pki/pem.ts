import { readFileSync } from 'node:fs';
import { messageOf } from '../../shared/thrown.ts';
import { MissingFile, PkiError } from './error.ts';

/**
 * The PEM text a setting stands for: as Kong allows, the text itself, the text in base64, or the path of a file.
 * `setting` names it in the `PkiError`.
 */
export function readPem(value: string, setting: string): string {
  if (value.includes('-----BEGIN ')) return value;
  const decoded = /^[A-Za-z0-9+/=\s]+$/.test(value) ? Buffer.from(value, 'base64').toString('latin1') : '';
  if (decoded.includes('-----BEGIN ')) return decoded;
  const text = readText(value, setting);
  if (!text.includes('-----BEGIN ')) throw new PkiError(`${setting}: '${value}' is not a PEM file`);
  return text;
}

/** Reads a text file that a setting names. */
export function readText(path: string, setting: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const problem = `${setting}: cannot be read (${messageOf(error)})`;
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw missing ? new MissingFile(problem) : new PkiError(problem);
  }
}
