import type { FallbackStorage } from './storage.ts';

/** Milliseconds for one object. */
const PATIENCE = 60_000;

/** Headers of a request; what signs it needs to see the whole of it. */
export type Authorize = (request: {
  readonly method: string;
  readonly url: URL;
  readonly body: Uint8Array | null;
}) => Readonly<Record<string, string>>;

/**
 * What takes GET, PUT and DELETE below a URL. User and password in it are sent as such; its query stays (a SAS token of Azure, whose
 * blobs want a type).
 */
export function httpStorage(base: URL): FallbackStorage {
  const { username, password } = base;
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  const open = new URL(base);
  open.username = '';
  open.password = '';
  return storageOver(
    (name) => {
      const url = new URL(open);
      url.pathname = `${open.pathname.replace(/\/$/, '')}/${name}`;
      return url;
    },
    ({ method }) => ({
      ...(username !== '' && { authorization }),
      ...(method === 'PUT' && base.hostname.endsWith('.blob.core.windows.net') && { 'x-ms-blob-type': 'BlockBlob' }),
    }),
  );
}

/** The same over any URLs and ways to show who asks. */
export function storageOver(urlOf: (name: string) => URL, authorize: Authorize): FallbackStorage {
  async function ask(method: string, name: string, body: Uint8Array<ArrayBuffer> | null = null): Promise<Response> {
    const url = urlOf(name);
    const headers = authorize({ method, url, body });
    // A redirect would take what authorizes along to somebody else.
    const init = { method, headers, redirect: 'manual' as const, signal: AbortSignal.timeout(PATIENCE) };
    try {
      return await fetch(url, body === null ? init : { ...init, body });
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      throw new Error(`${url.origin}: ${cause}`);
    }
  }
  return {
    async get(name, limit) {
      const response = await ask('GET', name);
      if (response.status === 200) return bodyAtMost(response, name, limit);
      if (response.status === 404) await response.body?.cancel();
      else await refuse(response, name);
      return null;
    },
    async put(name, bytes) {
      await expectOk(await ask('PUT', name, new Uint8Array(bytes)), name);
    },
    async delete(name) {
      const response = await ask('DELETE', name);
      // Of what there is none, or who takes no deletes, nothing is to be expected.
      if ([404, 405, 501].includes(response.status)) await response.body?.cancel();
      else await expectOk(response, name);
    },
  };
}

async function expectOk(response: Response, name: string): Promise<void> {
  if (response.ok) await bodyAtMost(response, name, 100_000).catch(() => undefined);
  else await refuse(response, name);
}

/** Throws what a storage says of what it does not do. */
async function refuse(response: Response, name: string): Promise<never> {
  const said = await bodyAtMost(response, name, 100_000).catch(() => new Uint8Array());
  const words = new TextDecoder().decode(said.subarray(0, 300)).replaceAll(/\s+/g, ' ').trim();
  throw new Error(`${name}: answered ${response.status} ${words}`.trim());
}

async function bodyAtMost(response: Response, name: string, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > limit) throw new Error(`${name}: longer than ${limit} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
