import { concatBytes } from '../../../shared/bytes.ts';

/** A request that Workers KV would refuse, with its status and words. */
export class KvRefusal extends Error {
  override readonly name = 'KvRefusal';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Workers KV's documented limits. Bytes, seconds, counts. */
export const LIMITS = {
  key: 512,
  value: 25 << 20,
  metadata: 1024,
  ttl: 60,
  listKeys: 1000,
  bulkKeys: 100,
} as const;

const utf8 = new TextEncoder();

export function parseKey(url: URL): string {
  let key = url.pathname.slice(1);
  if (url.searchParams.get('urlencoded')?.toLowerCase() === 'true') {
    try {
      key = decodeURIComponent(key);
    } catch {
      throw new KvRefusal(400, 'Could not URL-decode key name');
    }
  }
  if (key === '') throw new KvRefusal(400, 'Key names must not be empty');
  if (key === '.' || key === '..') {
    throw new KvRefusal(400, `Illegal key name "${key}". Please use a different name.`);
  }
  return withinKeyLimit(key);
}

function withinKeyLimit(key: string): string {
  const length = utf8.encode(key).byteLength;
  if (length > LIMITS.key) {
    throw new KvRefusal(414, `UTF-8 encoded length of ${length} exceeds key length limit of ${LIMITS.key}.`);
  }
  return key;
}

/** Unix seconds when the value expires, or null for never. */
export function parseExpiration(query: URLSearchParams, now: number): number | null {
  const ttl = query.get('expiration_ttl');
  if (ttl !== null) {
    const seconds = Number(ttl);
    if (!Number.isInteger(seconds) || seconds < LIMITS.ttl) {
      const rule = `Expiration TTL must be at least ${LIMITS.ttl}.`;
      throw new KvRefusal(400, `Invalid expiration_ttl of ${ttl}. ${rule}`);
    }
    return now + seconds;
  }
  const at = query.get('expiration');
  if (at === null) return null;
  const seconds = Number(at);
  if (!Number.isInteger(seconds) || seconds < now + LIMITS.ttl) {
    const rule = `Expiration times must be at least ${LIMITS.ttl} seconds in the future.`;
    throw new KvRefusal(400, `Invalid expiration of ${at}. ${rule}`);
  }
  return seconds;
}

/** The metadata's JSON text as it came. */
export function parseMetadata(header: string | null): string | null {
  if (header === null) return null;
  const length = utf8.encode(header).byteLength;
  if (length > LIMITS.metadata) {
    throw new KvRefusal(413, `Metadata length of ${length} exceeds limit of ${LIMITS.metadata}.`);
  }
  return header;
}

export function parseListQuery(query: URLSearchParams): { prefix: string; after: string; limit: number } {
  const limit = Number(query.get('key_count_limit') ?? LIMITS.listKeys);
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.listKeys) {
    const rule = `Please specify an integer from 1 to ${LIMITS.listKeys}.`;
    throw new KvRefusal(400, `Invalid key_count_limit of ${query.get('key_count_limit')}. ${rule}`);
  }
  const prefix = withinKeyLimit(query.get('prefix') ?? '');
  let after: string;
  try {
    after = decodeURIComponent(query.get('cursor') ?? '');
  } catch {
    throw new KvRefusal(400, 'Invalid cursor');
  }
  return { prefix, after, limit };
}

/** The whole body. One that is too long is read to its end before it is refused: the binding sends all before it listens. */
export async function readValue(request: Request): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length <= LIMITS.value) chunks.push(chunk);
    else chunks.length = 0;
  }
  if (length > LIMITS.value) {
    throw new KvRefusal(413, `Value length of ${length} exceeds limit of ${LIMITS.value}.`);
  }
  return concatBytes(chunks);
}
