import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../shared/thrown.ts';
import { EgressError } from './failure.ts';

/** Files kept open; the one written longest ago is closed for another. */
const MOST_OPEN = 256;
/** A pipe that nobody has open is an error, not a wait without end. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
const MODE = 0o644;
/** Milliseconds for which a full pipe is tried again without its reader taking anything, and between two tries. */
const PATIENCE = 5_000;
const AGAIN = 5;

/** Files that plugins add to. One write is never in the middle of another. */
export class AppendedFiles {
  readonly #folder: string;
  readonly #open = new Map<string, FileHandle>();
  /** The last write of each file that has one under way. */
  readonly #writing = new Map<string, Promise<void>>();

  /** `folder`: where paths that do not begin with `/` begin. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Adds to a file, made where there is none. `reopen`: by the name it has now. Rejects with an `EgressError`. */
  append(name: string, bytes: Uint8Array, reopen: boolean): Promise<void> {
    const path = resolve(this.#folder, name);
    const before = this.#writing.get(path) ?? Promise.resolve();
    const written = before.catch(() => {}).then(() => this.#write(path, bytes, reopen));
    this.#writing.set(path, written);
    const over = (): void => {
      if (this.#writing.get(path) === written) this.#writing.delete(path);
    };
    written.then(over, over);
    return written;
  }

  async #write(path: string, bytes: Uint8Array, reopen: boolean): Promise<void> {
    try {
      if (reopen) await this.#close(path);
      const file = await this.#opened(path);
      await appendWhole(file, bytes);
      if (reopen) await this.#close(path);
    } catch (error) {
      await this.#close(path).catch(() => {});
      throw new EgressError('unreachable', false, `file ${path}: ${messageOf(error)}`);
    }
  }

  async #opened(path: string): Promise<FileHandle> {
    const file = this.#open.get(path) ?? (await open(path, FLAGS, MODE));
    // A Map iterates in insertion order: the used one moves to the young end.
    this.#open.delete(path);
    this.#open.set(path, file);
    for (const other of this.#open.keys()) {
      if (this.#open.size <= MOST_OPEN) break;
      if (!this.#writing.has(other)) await this.#close(other);
    }
    return file;
  }

  async #close(path: string): Promise<void> {
    const file = this.#open.get(path);
    this.#open.delete(path);
    await file?.close();
  }
}

/** A pipe, such as `/dev/stdout` may be, takes what it has room for; the rest goes once its reader has taken some. */
async function appendWhole(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let since = performance.now();
  for (let at = 0; at < bytes.byteLength; ) {
    try {
      const { bytesWritten } = await file.write(bytes, at);
      at += bytesWritten;
      since = performance.now();
    } catch (error) {
      if (!isFull(error) || performance.now() - since > PATIENCE) throw error;
      await sleep(AGAIN);
    }
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}
