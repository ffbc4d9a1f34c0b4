import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { concatBytes } from '../../shared/bytes.ts';
import type { LdapAuthConfig } from '../../shared/plugins/ldap-auth.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { authenticator, type Refusal } from './authentication.ts';
import { type BasicCredentials, parseBasicCredentials } from './basic-credentials.ts';
import { Directory } from './ldap/directory.ts';
import { escapeValue } from './ldap/distinguished-name.ts';
import { saysWho } from './ldap/result-codes.ts';
import { andThen } from './runtime/and-then.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import { patienceOf } from './services/patience.ts';

/** Bytes of answers an isolate remembers: tens of thousands of people. */
const MEMORY = 4 << 20;

/** Authenticates by a user name and a password that an LDAP server takes for a simple bind; Proxy-Authorization first. */
const ldapAuth: Plugin<LdapAuthConfig> = {
  name: 'ldap-auth',
  version: KONG_VERSION,
  priority: 1200,
  compile(config, _place, services) {
    const { anonymous, attribute, base_dn, cache_ttl, header_type, hide_credentials, realm } = config;
    const scheme = header_type === 'ldap' ? 'LDAP' : (header_type ?? '');
    const refusal: Refusal = {
      status: 401,
      message: 'Unauthorized',
      headers: { 'WWW-Authenticate': realm ? `${scheme} realm="${realm}"` : scheme },
    };
    const directory = new Directory(
      {
        address: { host: config.ldap_host, port: config.ldap_port },
        security: config.ldaps ? 'ldaps' : config.start_tls ? 'start_tls' : 'plain',
        tls: { serverName: null, verify: config.verify_ldap_host },
        timeout: patienceOf(config.timeout ?? 10_000),
        keepalive: config.keepalive ?? 60_000,
      },
      services.connect,
    );
    const known = services.cache<boolean>('ldap-auth', { maxBytes: MEMORY });
    // Whose answer it is: another server, or another way to it, has its own.
    const asked = utf8(
      JSON.stringify([
        config.ldap_host,
        config.ldap_port,
        config.ldaps,
        config.start_tls,
        config.verify_ldap_host,
        base_dn,
        attribute,
        cache_ttl,
      ]),
    );

    const isRight = ({ username, password }: BasicCredentials): boolean | Promise<boolean> => {
      const key = bytesToHex(sha256(concatBytes([asked, utf8(`${username}\0`), password])));
      return known.get(key) ?? ask(key, username, password);
    };

    const ask = async (key: string, username: string, password: Uint8Array): Promise<boolean> => {
      const { code, message } = await directory.bind(`${attribute}=${escapeValue(username)},${base_dn}`, password);
      const right = code === 0;
      if (!right && !saysWho(code)) services.log('error', `ldap-auth: ${config.ldap_host}: ${code} ${message}`);
      else if (cache_ttl > 0) known.set(key, right, cache_ttl, ENTRY);
      return right;
    };

    /** Whether a header names somebody; it is read as the schema writes it: by scheme, then base64. */
    const attempt = (request: GatewayRequest, header: string): boolean | Promise<boolean> => {
      const credentials = parseCredentials(request.headers.get(header), header_type ?? '');
      if (credentials === null) return false;
      return andThen(isRight(credentials), (right) => {
        if (!right) return false;
        if (hide_credentials) for (const name of HEADERS) request.headers.delete(name);
        const { username } = credentials;
        request.identity.authenticate(null, { id: null, identifier: username, row: { username } });
        return true;
      });
    };

    return {
      access: authenticator(anonymous, (request) =>
        andThen(attempt(request, 'proxy-authorization'), (byProxy) =>
          andThen(byProxy || attempt(request, 'authorization'), (found) => (found ? null : refusal)),
        ),
      ),
    };
  },
};

export default ldapAuth;

const HEADERS = ['Authorization', 'Proxy-Authorization'];
/** What an entry of the memory weighs: the hash, and what a Map needs. */
const ENTRY = 200;

/**
 * `<scheme> <base64 of name:password>`. Null for anything else, for an empty password, which a server would take for nobody's
 * (RFC 4513 section 5.1.2), and for a name with characters that a server may leave out of what it compares.
 */
function parseCredentials(value: string | null, scheme: string): BasicCredentials | null {
  if (value === null || value.slice(0, scheme.length).toLowerCase() !== scheme.toLowerCase()) return null;
  const base64 = /^\s+(\S+)\s*$/.exec(value.slice(scheme.length))?.[1];
  const credentials = base64 === undefined ? null : parseBasicCredentials(base64);
  if (credentials === null || credentials.password.byteLength === 0) return null;
  return UNSEEN.test(credentials.username) ? null : credentials;
}

/** Control and format characters: names that differ by them are the same to a directory (RFC 4518 section 2.2). */
const UNSEEN = /[\p{Cc}\p{Cf}]/u;

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
