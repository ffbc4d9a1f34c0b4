import { closeSync, fsyncSync } from 'node:fs';
import { NodeFS } from '@electric-sql/pglite/nodefs';

import { isRecord } from '../../../shared/record.ts';

/** The mode bits of everybody but the owner. */
const OTHERS = 0o077;

/**
 * The files of the embedded database: durable, private, and watched. `ended` is called with PostgreSQL's last words when it
 * ends itself, in the middle of what it was asked, and throws what is to become of that.
 */
export class DatabaseFiles extends NodeFS {
  readonly #ended: (reason: string) => never;
  #module: unknown;

  constructor(directory: string, ended: (reason: string) => never) {
    super(directory);
    this.#ended = ended;
  }

  override async init(...given: Parameters<NodeFS['init']>): ReturnType<NodeFS['init']> {
    const { emscriptenOpts } = await super.init(...given);
    const { preRun = [], printErr } = emscriptenOpts;
    return {
      emscriptenOpts: {
        ...emscriptenOpts,
        printErr: (line: string) => {
          printErr?.(line);
          const [whole, reason] = LAST_WORDS.exec(line) ?? [];
          if (whole !== undefined) this.#ended(reason ?? whole);
        },
        preRun: [
          ...preRun,
          (module) => {
            this.#module = module;
            const files: unknown = module.FS.filesystems.NODEFS;
            makeDurable(files);
            keepPrivate(files);
          },
        ],
      },
    };
  }

  /** Gives back what a server that ended itself has left open. */
  release(): void {
    const streams = isRecord(this.#module) && isRecord(this.#module.FS) ? this.#module.FS.streams : undefined;
    for (const stream of Array.isArray(streams) ? streams : []) {
      if (!isRecord(stream) || typeof stream.nfd !== 'number') continue;
      try {
        closeSync(stream.nfd);
      } catch {
        // It had closed this one itself.
      }
    }
  }
}

/** What PostgreSQL logs before it ends, and the runtime under it. */
const LAST_WORDS = /\b(?:PANIC|FATAL): +(.*)|^Aborted\(.*/;

/**
 * Emscripten keeps Node's descriptor in `nfd`, and has no fsync: enough to survive kill -9, not a power failure. Its
 * operations table is open to additions.
 */
function makeDurable(files: unknown): void {
  if (!isRecord(files) || !isRecord(files.stream_ops)) {
    throw new Error('the embedded database has no file operations to make durable: unexpected PGlite version');
  }
  files.stream_ops.fsync = (stream: unknown) => {
    if (isRecord(stream) && typeof stream.nfd === 'number') fsyncSync(stream.nfd);
    return 0;
  };
}

/** Emscripten gives each new file the mode it was asked for, 0666 by PostgreSQL, whatever the umask of the process is. */
function keepPrivate(files: unknown): void {
  const operations = isRecord(files) ? files.node_ops : undefined;
  const setattr = isRecord(operations) ? operations.setattr : undefined;
  if (!isRecord(operations) || typeof setattr !== 'function') {
    throw new Error('the embedded database has no file modes to keep private: unexpected PGlite version');
  }
  operations.setattr = (node: unknown, given: unknown) =>
    setattr(node, isRecord(given) && typeof given.mode === 'number' ? { ...given, mode: given.mode & ~OTHERS } : given);
}
