import { isRecord } from '../../../shared/record.ts';
import { messageOf } from '../../../shared/thrown.ts';
import { asSqlError } from '../database.ts';

/** The file errors of the embedded database's runtime, by its own numbers (those of WASI), as far as they tell a person what to do. */
const FILE_ERRORS = new Map([
  [2, 'permission denied'],
  [19, 'the disk quota is used up'],
  [22, 'a file would grow larger than this process may write (ulimit -f)'],
  [29, 'the disk fails (input/output error)'],
  [33, 'too many open files'],
  [41, 'too many open files on this machine'],
  [51, 'no space left on the disk'],
  [69, 'the file system is read-only'],
]);

/** What the embedded database failed with, in words: its runtime throws things that are no errors and have no message. */
export function describePgliteFailure(error: unknown): string {
  if (error instanceof Error || !isRecord(error)) return messageOf(error);
  const known = fileFailure(error);
  if (known !== undefined) return known;
  const { name, errno, status } = error;
  const number = [errno, status].find((each) => typeof each === 'number');
  return `${typeof name === 'string' ? name : 'unknown failure'}${number === undefined ? '' : ` ${number}`}`;
}

/** Whether the disk, and not what is on it, is at fault. */
export function isFileFailure(error: unknown): boolean {
  return fileFailure(error) !== undefined || asSqlError(error)?.code === DISK_FULL;
}

const DISK_FULL = '53100';

function fileFailure(error: unknown): string | undefined {
  return isRecord(error) && typeof error.errno === 'number' ? FILE_ERRORS.get(error.errno) : undefined;
}
