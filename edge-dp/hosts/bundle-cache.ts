import { createHash, randomUUID } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkerBundle } from './bundle-worker.ts';

/** The line of JSON that the file of a kept bundle begins with. What follows it are bytes as they are: code is large, and is not to be read as text. */
interface Head {
  /** Paths of all files that went into it. */
  readonly files: readonly string[];
  /** Of their contents. */
  readonly digest: string;
  /** What follows, in this order, by its bytes: code, metafile, and each of the WebAssembly. */
  readonly code: number;
  readonly metafile: number;
  readonly wasm: readonly { readonly name: string; readonly size: number }[];
}

const require = createRequire(import.meta.url);
/** What would bundle, if that had to be done. */
const { version }: { readonly version: string } = require('esbuild/package.json');

/** The folder that paths in a metafile are relative to, wherever the process that bundled was started. */
export const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Where bundles are kept from start to start: beside the packages this process runs, so that whoever can write one there could have
 * written the code itself.
 */
const FOLDER = join(dirname(require.resolve('esbuild/package.json')), '..', '.cache', 'holdfast');

/**
 * The bundle that was kept under this name, as long as every file that went into it is, byte for byte, what it was; undefined when there is
 * none. Reading all of them takes a tenth of the time that bundling does.
 */
export function keptBundle(name: string, folder = FOLDER): WorkerBundle | undefined {
  try {
    const bytes = new Uint8Array(readFileSync(pathOf(name, folder)));
    const headEnds = bytes.indexOf(LINE_END);
    const head: Head = JSON.parse(textOf(bytes.subarray(0, headEnds)));
    if (digestOf(head.files) !== head.digest) return undefined;
    let at = headEnds + 1;
    const next = (size: number): Uint8Array<ArrayBuffer> => {
      at += size;
      return bytes.subarray(at - size, at);
    };
    const code = next(head.code);
    const metafile = next(head.metafile);
    const wasm = head.wasm.map(({ name, size }) => ({ name, bytes: next(size) }));
    if (at !== bytes.length) return undefined;
    return {
      code,
      wasm,
      get metafile() {
        return JSON.parse(textOf(metafile));
      },
    };
  } catch {
    return undefined;
  }
}

const LINE_END = 0x0a;

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/**
 * Keeps a bundle under this name. `wasm`: by name, the files it imports; `makers`: what it depends on beside the files that esbuild
 * names. Not where nobody may write, nor when one of the files was written since this process began, which may have read an older one.
 */
export function keepBundle(
  name: string,
  { code, wasm: compiled, metafile }: WorkerBundle,
  wasm: ReadonlyMap<string, string>,
  makers: readonly string[],
  folder = FOLDER,
): void {
  const building = join(folder, `building-${randomUUID()}`);
  try {
    const inputs = Object.keys(metafile.inputs).map((path) => resolve(PROJECT, path));
    const files = [...makers, ...inputs.filter(isFile), ...wasm.values()];
    if (files.some((path) => statSync(path).mtimeMs >= performance.timeOrigin)) return;
    const described = Buffer.from(JSON.stringify(metafile));
    const head: Head = {
      files,
      digest: digestOf(files),
      code: code.length,
      metafile: described.length,
      wasm: compiled.map(({ name, bytes }) => ({ name, size: bytes.length })),
    };
    mkdirSync(folder, { recursive: true });
    const parts = [`${JSON.stringify(head)}\n`, code, described, ...compiled.map(({ bytes }) => bytes)];
    const whole = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
    // On the disk before it has its name: what a power cut leaves of it would be read at every start.
    writeFileSync(building, whole, { flush: true });
    renameSync(building, pathOf(name, folder));
  } catch {
    try {
      rmSync(building, { force: true });
    } catch {
      // Where there is no such folder.
    }
  }
}

/** Not so an entry given as text, which whoever bundles writes. */
function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function pathOf(name: string, folder: string): string {
  return join(folder, `worker-${createHash('sha256').update(`${version} ${name}`).digest('hex').slice(0, 32)}`);
}

/** Throws when one of them cannot be read. */
function digestOf(files: readonly string[]): string {
  const hash = createHash('sha256');
  // One for all: hundreds of buffers are a reason for V8 to look through the whole heap.
  let room = Buffer.allocUnsafeSlow(ROOM);
  for (const file of files) {
    const descriptor = openSync(file, 'r');
    try {
      let length = 0;
      for (let read = -1; read !== 0; length += read) {
        if (length === room.length) room = Buffer.concat([room], room.length * 2);
        read = readSync(descriptor, room, length, room.length - length, null);
      }
      hash.update(`${file}\0${length}\0`).update(room.subarray(0, length));
    } finally {
      closeSync(descriptor);
    }
  }
  return hash.digest('hex');
}

/** Bytes that most files fit into. */
const ROOM = 1 << 20;
