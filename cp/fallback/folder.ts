import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a storage has: this file, written last, and `objects/<sha256>`. */
export const BUNDLE_FILE = 'bundle.json';

/** What a data plane was given, where it finds it. */
export class FallbackFolder {
  readonly path: string;

  constructor(prefix: string) {
    this.path = join(prefix, 'fallback');
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
  }

  /**
   * Whether this node, whose databases are in `storage`, is to be given config: it is new, or what it was to be given at
   * its first start has not come.
   */
  isWanted(storage: string): boolean {
    const asked = join(this.path, 'wanted');
    if (existsSync(asked)) return !existsSync(join(this.path, BUNDLE_FILE));
    if (existsSync(storage) && readdirSync(storage).length > 0) return false;
    writeFileSync(asked, '');
    return true;
  }

  write(name: string, bytes: Uint8Array): void {
    const path = join(this.path, name);
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
    // The data plane may be reading.
    writeFileSync(`${path}.part`, bytes, { mode: 0o600 });
    renameSync(`${path}.part`, path);
  }
}
