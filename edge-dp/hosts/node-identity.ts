import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UUID } from '../../shared/uuid.ts';

/**
 * The node's id: `given` or, without it, a UUID made on first use; kept in `<prefix>/node-id`, so that the control plane knows a restarted
 * data plane again. Throws when the file holds something else: guessing a new id would make one node look like two.
 */
export async function nodeIdentity(prefix: string, given: string | null = null): Promise<string> {
  const path = join(prefix, 'node-id');
  const known = await readIfThere(path);
  // Nothing is written where it is known: a disk may take its time.
  if (given === null && known !== null) return uuidIn(known, path);
  if (given !== null && known?.trim() === given) return given;
  await mkdir(prefix, { recursive: true, mode: 0o700 });
  if (given !== null) {
    const whole = `${path}.${randomUUID()}`;
    await writeFile(whole, `${given}\n`, { mode: 0o600, flush: true });
    await rename(whole, path);
    return given;
  }
  const id = randomUUID();
  // Written whole, then linked: a power cut leaves no half id, and of two processes starting at once one is first.
  const whole = `${path}.${id}`;
  await writeFile(whole, `${id}\n`, { mode: 0o600, flush: true });
  try {
    await link(whole, path);
    return id;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    await unlink(whole);
  }
  return uuidIn(await readFile(path, 'utf8'), path);
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function uuidIn(text: string, path: string): string {
  const kept = text.trim();
  if (UUID.test(kept)) return kept;
  throw new Error(
    `${path}: expected a UUID, found ${JSON.stringify(kept.slice(0, 60))}; restore it, or remove the file to be a new node`,
  );
}
