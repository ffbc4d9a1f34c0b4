/** Where it rests: with another key, what isolates have in their data centers' caches is of no use to each other. */
const STORAGE_KEY = 'colo_key';

/** The key by which isolates of this node share what they are told, base64 of 32 bytes. Made on first use. */
export async function coloKey(storage: DurableObjectStorage): Promise<string> {
  const kept = await storage.get<string>(STORAGE_KEY);
  if (kept !== undefined) return kept;
  const made = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))));
  await storage.put(STORAGE_KEY, made);
  return made;
}
