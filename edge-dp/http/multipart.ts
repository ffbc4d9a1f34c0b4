/** Fields and files of a `multipart/form-data` body (RFC 7578), read and written by the runtime. Throws for what is none. */
export function parseMultipart(contentType: string, body: Uint8Array): Promise<FormData> {
  return new Response(body, { headers: { 'content-type': contentType } }).formData();
}

/** The body and the Content-Type that tells its boundary. */
export async function printMultipart(
  form: FormData,
): Promise<{ readonly body: Uint8Array; readonly contentType: string | null }> {
  const made = new Response(form);
  return { body: new Uint8Array(await made.arrayBuffer()), contentType: made.headers.get('content-type') };
}
