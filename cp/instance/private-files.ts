import { chmodSync, type Dirent, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { messageOf } from '../../shared/thrown.ts';

/** What Holdfast keeps in a prefix; nothing else that lies there is its business. */
const OWN =
  /^(?:pgdata(?:\..*)?|data-plane(?:\.(?:lock|exclusive))?|dbless|durable-objects|native|compiled|worker|fallback|run|ssl|node-id|instance\.json.*|cluster\.(?:crt|key)|bundle-(?:signing\.(?:[\w-]+\.)?key|keys\.json))$/;
/** May be read by anybody, but not written. */
const PUBLIC = /\.crt$|^bundle-keys\.json$/;

const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
/** Others may rename and replace what is in a folder, unless it is one like /tmp. */
const ANYBODY_WRITES = 0o002;
const STICKY = 0o1000;

/** Files and folders that were open to other users of the machine, by their paths below the prefix. */
export interface OpenFiles {
  /** Now closed to all but their owner. */
  readonly closed: readonly string[];
  /** Still open, and why. */
  readonly open: readonly { readonly path: string; readonly reason: string }[];
}

/**
 * Takes from other users of the machine what earlier versions, a backup that was restored or a copy left open to them:
 * keys, and the database with the API keys in it. The folder itself stays as it was made, but nobody else may write to it.
 */
export function closeToOthers(prefix: string): OpenFiles {
  const closed: string[] = [];
  const open: { path: string; reason: string }[] = [];
  const close = (path: string, shown: string, bits: number): void => {
    const mode = lstatSync(path, { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & bits) === 0) return;
    try {
      chmodSync(path, mode & 0o7777 & ~bits);
      closed.push(shown);
    } catch (error) {
      open.push({ path: shown, reason: messageOf(error) });
    }
  };
  const visit = (folder: string, below: string, entry: Dirent): void => {
    // Sockets and links have no content of their own.
    if (!entry.isFile() && !entry.isDirectory()) return;
    const [path, shown] = [join(folder, entry.name), join(below, entry.name)];
    close(path, shown, PUBLIC.test(entry.name) ? OTHERS_WRITE : OTHERS);
    if (entry.isDirectory()) for (const inside of entriesOf(path)) visit(path, shown, inside);
  };
  if ((lstatSync(prefix).mode & STICKY) === 0) close(prefix, '.', ANYBODY_WRITES);
  for (const entry of entriesOf(prefix)) if (OWN.test(entry.name)) visit(prefix, '', entry);
  return { closed, open };
}

/** None of a folder that cannot be read: whoever needs what is in it will say so. */
function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** What to tell the operator, in one line for each kind of trouble. */
export function openFilesNotices(prefix: string, { closed, open }: OpenFiles): string[] {
  const notices: string[] = [];
  const [first] = closed;
  if (first !== undefined) {
    notices.push(
      `${count(closed)} in ${prefix} could be read or written by other users of this machine (first: ${first}); now only ` +
        'the owner can. If there are such users, treat the keys in there as known to them',
    );
  }
  const [left] = open;
  if (left !== undefined) {
    notices.push(
      `${count(open)} in ${prefix} can be read or written by other users of this machine (first: ${left.path}), and that ` +
        `could not be changed (${left.reason}); give them to the user Holdfast runs as`,
    );
  }
  return notices;
}

function count(files: readonly unknown[]): string {
  return files.length === 1 ? '1 file or folder' : `${files.length} files and folders`;
}
