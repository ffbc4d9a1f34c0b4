import { join } from 'node:path';

/** The folder of `holdfast dev` inside a prefix. */
export function devPrefix(prefix: string): string {
  return join(prefix, 'dev');
}
