import type { Bytes } from '../../shared/bundle/format.ts';
import { concatBytes } from '../../shared/bytes.ts';

/** The body as text; throws when it is longer than `limit` bytes. */
export async function textAtMost(response: Response, limit: number): Promise<string> {
  return new TextDecoder().decode(await bytesAtMost(response, limit));
}

/** A stream that does not end must not fill the memory: throws for more than `limit` bytes. */
export async function bytesAtMost(response: Response, limit: number): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > limit) throw new Error(`it sent more than ${limit} bytes`);
    chunks.push(chunk);
  }
  return concatBytes(chunks);
}
