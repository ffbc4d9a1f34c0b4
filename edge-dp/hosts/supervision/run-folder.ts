import { chmodSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../../../shared/thrown.ts';

/** A Unix socket's path must fit into `sockaddr_un`: 104 bytes on macOS, 108 on Linux, the last one zero. */
const LONGEST_SOCKET_PATH = 103;
/** Bytes kept for a socket's own name. */
const LONGEST_SOCKET_NAME = 24;

/** Names of generations, one after the other: what Node keeps of compiled code it keeps by path. */
const NAMES = 8;

/** How folders for sockets in the temporary folder begin. */
const TEMPORARY = 'holdfast-';

/** What a node's processes are started from: generated config and internal sockets, readable by their owner only. */
export class RunFolder {
  readonly path: string;
  /** Where the internal sockets are: in the folder, or in the temporary folder when its path is too long for them. */
  readonly sockets: string;
  readonly #generations = new Map<number, Generation>();
  #last = 0;

  /** Empties `<prefix>/run`. */
  constructor(prefix: string) {
    this.path = join(prefix, 'run');
    const link = join(this.path, 'sockets');
    removeLeft(link);
    rmSync(this.path, { recursive: true, force: true });
    makePrivate(this.path);
    const fits = Buffer.byteLength(this.path) + LONGEST_SOCKET_NAME <= LONGEST_SOCKET_PATH;
    // mkdtemp makes the folder its owner's alone.
    this.sockets = fits ? this.path : mkdtempSync(join(tmpdir(), TEMPORARY));
    // For the next start to find it by, should nobody remove it.
    if (!fits) symlinkSync(this.sockets, link);
  }

  /** A folder for one generation of config, which none that is there has. */
  nextGeneration(): Generation {
    const round = Array.from({ length: NAMES }, (_, place) => ((this.#last + place) % NAMES) + 1);
    // All of them are there after as many reloads that failed.
    const number = round.find((name) => !this.#generations.has(name)) ?? this.#generations.size + 1;
    const generation = new Generation(join(this.path, `config-${number}`), String(number));
    this.#generations.set(number, generation);
    this.#last = number;
    return generation;
  }

  /** Removes a generation: no process is started from it any more, or none was. */
  drop(generation: Generation): void {
    generation.remove();
    this.#generations.delete(Number(generation.name));
  }

  /** Removes all generations but one. */
  keepOnly(generation: Generation): void {
    for (const other of [...this.#generations.values()]) if (other !== generation) this.drop(other);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
    rmSync(this.sockets, { recursive: true, force: true });
  }
}

/** The folder for sockets of a node that was killed. */
function removeLeft(link: string): void {
  try {
    const folder = readlinkSync(link);
    if (basename(folder).startsWith(TEMPORARY)) rmSync(folder, { recursive: true, force: true });
  } catch {
    // There is none, most often.
  }
}

/** The files of one generation of config. They hold private keys. */
export class Generation {
  readonly path: string;
  /** Few characters that no other generation in use has. */
  readonly name: string;

  constructor(path: string, name: string) {
    this.path = path;
    this.name = name;
    makePrivate(path);
  }

  /** Writes a file, with the folders above it, and returns its path. */
  write(name: string, content: string | Uint8Array): string {
    const path = join(this.path, name);
    makePrivate(dirname(path));
    try {
      writeFileSync(path, content, { mode: 0o600 });
    } catch (error) {
      // Node names no file when it is the disk that is full.
      throw new Error(`${path} cannot be written: ${messageOf(error)}`);
    }
    return path;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

function makePrivate(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  // The mode above is subject to the umask, and means nothing for a folder that was there.
  chmodSync(path, 0o700);
}
