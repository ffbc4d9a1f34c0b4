import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { indexTable } from '../../../shared/bundle/lookup.ts';
import type { Row } from '../../../shared/record.ts';
import { decodeBase64 } from '../../http/base64.ts';
import { parseBasicCredentials } from '../basic-credentials.ts';
import { sameBytes, sameText } from '../constant-time.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import type { Cache, Services } from '../runtime/services.ts';
import type { Parameters } from './parameters.ts';

/** An application that may ask for tokens: a row of `oauth2_credentials`. */
export interface Client {
  readonly row: Row;
  readonly id: string;
  readonly clientId: string;
  readonly redirectUris: readonly string[] | null;
  readonly confidential: boolean;
}

export async function findClient(request: GatewayRequest, clientId: string | undefined): Promise<Client | null> {
  if (clientId === undefined || clientId === '') return null;
  const found = await request.lookup(indexTable('oauth2_credentials', 'client_id'), clientId);
  return found === null ? null : clientById(request, String(found.id));
}

export async function clientById(request: GatewayRequest, id: string): Promise<Client | null> {
  const row = await request.lookup('oauth2_credentials', id);
  if (row === null) return null;
  const { redirect_uris: uris } = row;
  return {
    row,
    id,
    clientId: String(row.client_id),
    redirectUris: Array.isArray(uris) ? uris.map(String) : null,
    confidential: row.client_type !== 'public',
  };
}

/** How a client says who it is (RFC 6749 section 2.3.1). */
export interface ClientClaim {
  readonly clientId: string | undefined;
  readonly secret: string | undefined;
  /** In the Authorization header: what is refused is refused with 401 then. */
  readonly inHeader: boolean;
}

export function claimOf(request: GatewayRequest, parameters: Parameters, header: string): ClientClaim {
  const clientId = parameters.text('client_id');
  const secret = parameters.text('client_secret');
  if (clientId !== undefined && secret !== undefined) return { clientId, secret, inHeader: false };
  const value = request.headers.get(header);
  if (value === null) return { clientId, secret: undefined, inHeader: false };
  const base64 = SCHEME.exec(value)?.[1];
  if (base64 === undefined) return { clientId: undefined, secret: undefined, inHeader: true };
  const basic = parseBasicCredentials(base64);
  // A public client has no secret, and may leave out the colon before none.
  if (basic === null) return { clientId: nameAlone(base64), secret: undefined, inHeader: true };
  return { clientId: basic.username, secret: new TextDecoder().decode(basic.password), inHeader: true };
}

function nameAlone(base64: string): string | undefined {
  const bytes = decodeBase64(base64);
  return bytes === null ? undefined : new TextDecoder().decode(bytes);
}

/** Spelt in two ways, and found anywhere, as in Kong. */
const SCHEME = /[Bb]asic\s*(.+)/;

/** Compares secrets. A hashed one takes a while, so that a good one is remembered for a while. */
export class ClientSecrets {
  readonly #verified: Cache<true>;

  constructor(services: Services) {
    this.#verified = services.cache('oauth2 secrets', { maxBytes: 1 << 20 });
  }

  async isOf({ row }: Client, secret: string | undefined): Promise<boolean> {
    const stored = String(row.client_secret ?? '');
    if (secret === undefined) return false;
    const digest = bytesToHex(sha256(new TextEncoder().encode(secret)));
    if (row.hash_secret !== true) return sameText(stored, digest);
    const known = `${digest} ${stored}`;
    if (this.#verified.get(known) === true) return true;
    if (!(await isHashOf(stored, secret))) return false;
    this.#verified.set(known, true, REMEMBERED, 2 * known.length);
    return true;
  }
}

/** Seconds. */
const REMEMBERED = 60;

/** Whether a PBKDF2 hash in the PHC string format (`$pbkdf2-sha512$i=10000,l=32$salt$hash`) is of that secret. */
async function isHashOf(phc: string, secret: string): Promise<boolean> {
  const [, digest = '', parameters = '', salt = '', hash = ''] = PHC.exec(phc) ?? [];
  const iterations = Number(/(?:^|,)i=(\d+)/.exec(parameters)?.[1]);
  const [saltBytes, hashBytes] = [decodeBase64(salt), decodeBase64(hash)];
  // More iterations than that no runtime does.
  if (!(iterations > 0 && iterations <= 100_000) || saltBytes === null || !hashBytes?.length) return false;
  const key = await crypto.subtle.importKey('raw', new TextEncoder().encode(secret), 'PBKDF2', false, ['deriveBits']);
  const algorithm = {
    name: 'PBKDF2',
    hash: `SHA-${digest}`,
    salt: new Uint8Array(saltBytes),
    iterations,
  };
  const derived = await crypto.subtle.deriveBits(algorithm, key, hashBytes.length * 8);
  return sameBytes(hashBytes, new Uint8Array(derived));
}

const PHC = /^\$pbkdf2-sha(1|256|384|512)\$([^$]*)\$([^$]+)\$([^$]+)$/;
