import type { HttpResponse } from '../../http/messages.ts';
import { ResponseReply } from '../runtime/reply.ts';

/** The text of a response of a plugin's own request, gzip and deflate undone; null: longer than `limit` bytes, or in another coding. */
export async function readResponse(response: HttpResponse, limit: number): Promise<string | null> {
  const bytes = await new ResponseReply(response, 'service', () => undefined).read(limit);
  if (bytes !== null) return new TextDecoder().decode(bytes);
  response.discard();
  return null;
}
