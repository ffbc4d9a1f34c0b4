import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../shared/thrown.ts';
import { sqliteCode } from './sqlite-code.ts';

/** The exclusive use of a prefix: two nodes on the same Durable Object databases would ruin them. */
export interface PrefixLock {
  /** Extends the lock to another process: it holds as long as one of the two lives. */
  shareWith(pid: number): void;
  release(): void;
}

/** Milliseconds to wait for what is left of a node whose host was killed. */
const PATIENCE = 5_000;
/** Milliseconds to wait for one that takes the lock in the same moment. */
const AT_ONCE = 200;

const SQLITE_BUSY = 5;
const SQLITE_NOTADB = 26;

/**
 * Takes the lock, or throws naming the process that has it.
 *
 * It is one of the operating system's, as SQLite takes them on a file: gone the moment its holder dies, the same for all who ask at once, and
 * it holds across containers that share the disk. Beside it a note says which processes use the prefix: those of a host that was
 * killed outlive it for a moment.
 */
export async function lockPrefix(prefix: string): Promise<PrefixLock> {
  const note = join(prefix, 'data-plane.lock');
  const lock = exclusively(join(prefix, 'data-plane.exclusive'), () => inUse(prefix, holdersIn(note)[0] ?? null));
  try {
    await holdersGone(prefix, note);
    const mine = identify(process.pid) ?? '';
    write(note, mine);
    return {
      shareWith: (pid) => write(note, `${mine}\n${identify(pid) ?? ''}`),
      release() {
        try {
          rmSync(note, { force: true });
        } finally {
          lock.close();
        }
      },
    };
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Holds a file until it is closed. Throws `taken` when another does. */
function exclusively(path: string, taken: () => Error): DatabaseSync {
  let lock: DatabaseSync | null = null;
  try {
    lock = new DatabaseSync(path);
    // Without patience two that begin at once refuse each other, and nobody has it.
    lock.exec(`PRAGMA busy_timeout = ${AT_ONCE}`);
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    const code = sqliteCode(error);
    if (code === SQLITE_BUSY) throw taken();
    if (code === SQLITE_NOTADB) throw new Error(`${path} is no lock file of Holdfast; remove it (it holds no data)`);
    throw new Error(`prefix: ${path} cannot be locked: ${messageOf(error)}`, { cause: error });
  }
}

function inUse(prefix: string, pid: string | null): Error {
  const who = pid === null ? 'another process' : `process ${pid}`;
  return new Error(`prefix: a data plane already runs in ${prefix} (${who}); give this one another`);
}

/** Waits for the processes of a note. Throws when its host lives, one of a version that has the note alone, or when the rest stays. */
async function holdersGone(prefix: string, note: string): Promise<void> {
  for (const deadline = performance.now() + PATIENCE; ; await sleep(100)) {
    const [host, supervisor] = holdersIn(note);
    if (host == null && supervisor == null) return;
    // Without its host a supervisor is on its way out.
    if (host != null || performance.now() > deadline) throw inUse(prefix, host ?? supervisor ?? null);
  }
}

/** Whole or not at all: whoever reads it meanwhile finds the one before. */
function write(note: string, text: string): void {
  writeFileSync(`${note}.new`, text, { mode: 0o600 });
  renameSync(`${note}.new`, note);
}

/** By place, the host and its supervisor, the ids of those that live; null for those that do not. */
function holdersIn(note: string): readonly (string | null)[] {
  let text: string;
  try {
    text = readFileSync(note, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  return text.split('\n').map((holder) => {
    const [pid = ''] = holder.split(' ');
    return identify(Number(pid)) === holder ? pid : null;
  });
}

/** A process id with its start time where the system tells, since ids come round again. Null: no such process. */
function identify(pid: number): string | null {
  if (!Number.isInteger(pid) || pid < 1) return null;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return null;
  }
  try {
    // proc(5): field 22 is the start time; the name in field 2 may hold spaces and ends with the last parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : `${pid} ${fields[19]}`;
  } catch {
    return `${pid}`;
  }
}
