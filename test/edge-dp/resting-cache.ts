import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** What a stopped node's cache holds on disk, whichever host ran it. Null from `change` leaves an entry as it is. */
type Alteration = (key: string, bytes: Buffer) => Buffer | null;

const PLACES = [
  { folder: ['durable-objects', 'holdfast-kv'], alter: alterChunks },
  { folder: ['miniflare', 'kv'], alter: alterBlobs },
  { folder: ['native', 'storage', 'kv'], alter: alterEntries },
] as const;

/** Changes entries behind the node's back; returns the keys that were changed. */
export async function alterCache(prefix: string, change: Alteration): Promise<readonly string[]> {
  const { path, alter } = await place(prefix);
  return alter(path, change);
}

/** Keeps the cache as it is now, and puts it back when the returned function is called. */
export async function snapshotCache(prefix: string): Promise<() => Promise<void>> {
  const { path } = await place(prefix);
  const copy = `${path}.copy`;
  await cp(path, copy, { recursive: true });
  return async () => {
    await rm(path, { recursive: true });
    await cp(copy, path, { recursive: true });
  };
}

async function place(
  prefix: string,
): Promise<{ path: string; alter: (path: string, change: Alteration) => Promise<string[]> }> {
  for (const { folder, alter } of PLACES) {
    const path = join(prefix, ...folder);
    if (await readdir(path).then(Boolean, () => false)) return { path, alter };
  }
  throw new Error(`${prefix}: no cache found`);
}

async function alterChunks(path: string, change: Alteration): Promise<string[]> {
  const changed: string[] = [];
  for (const database of await databases(path)) {
    for (const { key } of database.prepare('SELECT key FROM entry').all()) {
      const rows = database.prepare('SELECT bytes FROM chunk WHERE key = ? ORDER BY position').all(String(key));
      const bytes = change(String(key), Buffer.concat(rows.map((row) => row.bytes as Uint8Array)));
      if (bytes === null) continue;
      changed.push(String(key));
      database.prepare('DELETE FROM chunk WHERE key = ?').run(String(key));
      database.prepare('INSERT INTO chunk (key, position, bytes) VALUES (?, 0, ?)').run(String(key), bytes);
      database.prepare('UPDATE entry SET size = ? WHERE key = ?').run(bytes.length, String(key));
    }
    database.close();
  }
  return changed;
}

async function alterEntries(path: string, change: Alteration): Promise<string[]> {
  const changed: string[] = [];
  for (const database of await databases(path)) {
    for (const { key, value } of database.prepare('SELECT key, value FROM entry').all()) {
      const bytes = change(String(key), Buffer.from(value as Uint8Array));
      if (bytes === null) continue;
      changed.push(String(key));
      database.prepare('UPDATE entry SET value = ? WHERE key = ?').run(bytes, String(key));
    }
    database.close();
  }
  return changed;
}

async function alterBlobs(path: string, change: Alteration): Promise<string[]> {
  const changed: string[] = [];
  for (const database of await databases(join(path, 'miniflare-KVNamespaceObject'))) {
    for (const { key, blob_id: blob } of database.prepare('SELECT key, blob_id FROM _mf_entries').all()) {
      const file = join(path, 'bundle', 'blobs', String(blob));
      const bytes = change(String(key), await readFile(file));
      if (bytes === null) continue;
      changed.push(String(key));
      await rm(file);
      await writeFile(file, bytes);
    }
    database.close();
  }
  return changed;
}

async function databases(path: string): Promise<DatabaseSync[]> {
  const files = await readdir(path);
  const own = files.filter((file) => file.endsWith('.sqlite') && !file.startsWith('metadata'));
  return own.map((file) => new DatabaseSync(join(path, file)));
}
