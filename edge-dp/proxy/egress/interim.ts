import type { FetchResponse } from '../../http/fetch/response.ts';
import { ByteReader } from './byte-reader.ts';
import { readResponse } from './received-response.ts';

/**
 * The runtime takes an interim response (103 and the like, RFC 9110 section 15.2) for the final one, and the final one for its body: it
 * is read from there. Null where there is none to read: the answer to HEAD has no body. Throws as `readResponse`.
 */
export async function finalResponse(
  { status, body }: Response,
  method: string,
  readTimeout: number,
): Promise<FetchResponse | null> {
  if (status >= 200 || status === 101 || body === null) return null;
  const reader = new ByteReader(body, readTimeout);
  try {
    return await readResponse(reader, method);
  } catch (error) {
    reader.cancel(error);
    throw error;
  }
}
