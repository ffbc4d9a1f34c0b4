import { readFileSync } from 'node:fs';
import { messageOf } from '../../shared/thrown.ts';
import { MissingFile, PkiError } from './error.ts';

/**
 * The PEM text a setting stands for: as Kong allows, the text itself, the text in base64, or the path of a file.
 * `setting` names it in the `PkiError`.
 */
export function readPem(value: string, setting: string): string {
  if (value.includes('-----BEGIN ')) return value;
  const decoded = fromBase64(value);
  if (decoded.includes('-----BEGIN ')) return decoded;
  const text = readText(value, setting);
  if (!text.includes('-----BEGIN ')) throw new PkiError(`${setting}: '${value}' is not a PEM file`);
  return text;
}

function fromBase64(value: string): string {
  return /^[A-Za-z0-9+/=\s]+$/.test(value) ? Buffer.from(value, 'base64').toString('latin1') : '';
}

/** Base64 of PEM that is not whole, of JSON, or of DER, which begins with a SEQUENCE (X.690). */
const ENCODED = /^\s*(?:LS0tLS1|eyJ|M[\w+/=\s-]{40,}$)/;

/** How a message shows a setting that may hold a key instead of a path. */
export function shownPath(value: string): string {
  return isPath(value) ? value : '(a text)';
}

function isPath(value: string): boolean {
  if (value.includes('\n') || value.length > 1000 || value.startsWith('{') || ENCODED.test(value)) return false;
  return !value.includes('-----BEGIN ') && !fromBase64(value).includes('-----BEGIN ');
}

/** Reads a text file that a setting names. */
export function readText(path: string, setting: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // What is said of a path has the path in it.
    if (!isPath(path))
      throw new PkiError(`${setting}: is no path of a file, and no text that can be taken in its place`);
    const problem = `${setting}: cannot be read (${messageOf(error)})`;
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw missing ? new MissingFile(problem) : new PkiError(problem);
  }
}
