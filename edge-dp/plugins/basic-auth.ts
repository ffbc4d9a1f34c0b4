import { sha1 } from '@noble/hashes/legacy.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { concatBytes } from '../../shared/bytes.ts';
import type { BasicAuthConfig } from '../../shared/plugins/basic-auth.ts';
import { isRecord, type Row } from '../../shared/record.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { authenticateBy, authenticator, consumerIdOf, type Refusal } from './authentication.ts';
import { type BasicCredentials, parseBasicCredentials } from './basic-credentials.ts';
import { sameText } from './constant-time.ts';
import { andThen } from './runtime/and-then.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';

/** Authenticates by user name and password (RFC 7617), of Proxy-Authorization first. */
const basicAuth: Plugin<BasicAuthConfig> = {
  name: 'basic-auth',
  version: KONG_VERSION,
  priority: 1100,
  compile({ anonymous, hide_credentials, realm }) {
    const refusal: Refusal = {
      status: 401,
      message: 'Unauthorized',
      headers: { 'WWW-Authenticate': `Basic realm="${realm}"` },
    };

    const read = (request: GatewayRequest, header: string): BasicCredentials | null => {
      const value = request.headers.get(header);
      if (value === null) return null;
      if (hide_credentials) request.headers.delete(header);
      const base64 = SCHEME.exec(value)?.[1];
      return base64 === undefined ? null : parseBasicCredentials(base64);
    };

    const verify = (request: GatewayRequest, credential: Row, { password }: BasicCredentials) => {
      if (!fits(password, credential)) return refusal;
      return andThen(authenticateBy(request, credential, String(credential.username)), (known) =>
        known ? null : refusal,
      );
    };

    return {
      access: authenticator(anonymous, (request) => {
        const forProxy = read(request, 'proxy-authorization');
        return andThen(forProxy && find(request, forProxy), (credential) => {
          if (forProxy !== null && credential !== null) return verify(request, credential, forProxy);
          const own = read(request, 'authorization');
          if (own === null) return refusal;
          return andThen(find(request, own), (found) => (found === null ? refusal : verify(request, found, own)));
        });
      }),
      async claimant(request) {
        for (const header of ['proxy-authorization', 'authorization']) {
          const shown = read(request, header);
          const consumer = shown === null ? undefined : consumerIdOf(await find(request, shown));
          if (consumer !== undefined) return consumer;
        }
        return undefined;
      },
    };
  },
};

export default basicAuth;

/** Spelt in two ways, and found anywhere, as in Kong. */
const SCHEME = /[Bb]asic\s*(.+)/;

function find(request: GatewayRequest, { username }: BasicCredentials): Row | null | Promise<Row | null> {
  return request.lookup('basicauth_credentials', username);
}

/** A credential holds the SHA-1 of the password and its consumer's id. */
function fits(password: Uint8Array, credential: Row): boolean {
  const consumer = isRecord(credential.consumer) ? String(credential.consumer.id) : '';
  const digest = sha1(concatBytes([password, new TextEncoder().encode(consumer)]));
  return sameText(String(credential.password), bytesToHex(digest));
}
