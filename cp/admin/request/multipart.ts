import type { Argument } from './urlencoded.ts';

/**
 * The parts of a `multipart/form-data` body (RFC 7578) as text, files too. Null when the body is not what its
 * Content-Type says.
 */
export async function parseMultipart(body: Uint8Array<ArrayBuffer>, contentType: string): Promise<Argument[] | null> {
  let form: FormData;
  try {
    form = await new Response(body, { headers: { 'content-type': contentType } }).formData();
  } catch {
    return null;
  }
  const args: Argument[] = [];
  for (const [name, part] of form) args.push([name, typeof part === 'string' ? part : await part.text()]);
  return args;
}
