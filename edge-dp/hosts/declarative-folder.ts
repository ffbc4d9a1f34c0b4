import { join } from 'node:path';
import type { DataPlaneOptions } from './options.ts';
import type { Generation } from './supervision/run-folder.ts';

/** Writes the packed `declarative_config`: `manifest`, `objects/<sha256>`. Returns the folder, or null when there is none to write. */
export function writeDeclarative(generation: Generation, { declarative }: DataPlaneOptions): string | null {
  if (declarative === null) return null;
  generation.write('declarative/manifest', JSON.stringify(declarative.manifest));
  for (const { name, gzip } of declarative.objects) generation.write(`declarative/objects/${name}`, gzip);
  return join(generation.path, 'declarative');
}
