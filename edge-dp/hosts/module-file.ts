import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The path of a module of this project, named without its ending: TypeScript in a clone, JavaScript in the npm package, as `from` is. */
export function moduleFile(module: string, from: string): string {
  return fileURLToPath(new URL(module + extname(from), from));
}
