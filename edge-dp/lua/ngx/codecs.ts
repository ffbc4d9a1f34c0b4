import { hmac } from '@noble/hashes/hmac.js';
import { md5, sha1 } from '@noble/hashes/legacy.js';
import { sha224, sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import type { CHash } from '@noble/hashes/utils.js';
import { type LuaCall, LuaNative, type LuaResult } from '../../../shared/lua/value.ts';
import { argumentsUpTo, encodeArguments, escapeBytes, unescapeText } from '../arguments.ts';
import type { Library } from '../context.ts';

/** Encodings and digests of `ngx`. */
export const codecs: Library = {
  encode_base64: codec('encode_base64', (call) => base64(call.bytes(1), call.truth(2))),
  decode_base64: codec('decode_base64', (call) => fromBase64(call.text(1))),
  escape_uri: codec('escape_uri', (call) => escapeBytes(call.bytes(1), call.optionalNumber(2)), 1),
  unescape_uri: codec('unescape_uri', (call) => unescapeText(call.text(1)), 1),
  encode_args: codec('encode_args', (call) => encodeArguments(call.value(1))),
  decode_args: codec('decode_args', (call) => argumentsUpTo(call.text(1), call.optionalNumber(2) ?? 100), 1),
  quote_sql_str: codec('quote_sql_str', (call) => quoted(call.bytes(1)), 1),
  md5: codec('md5', (call) => hex(md5(call.bytes(1).slice()))),
  md5_bin: codec('md5_bin', (call) => md5(call.bytes(1).slice())),
  sha1_bin: codec('sha1_bin', (call) => sha1(call.bytes(1).slice())),
  hmac_sha1: codec('hmac_sha1', (call) => hmac(sha1, call.bytes(1).slice(), call.bytes(2).slice())),
  crc32_short: codec('crc32_short', (call) => crc32(call.bytes(1))),
  crc32_long: codec('crc32_long', (call) => crc32(call.bytes(1))),
};

/** A string of MySQL's SQL. */
function quoted(bytes: Uint8Array): Uint8Array {
  const own: number[] = [QUOTE];
  for (const byte of bytes) {
    const escaped = SQL_ESCAPES[byte];
    if (escaped === undefined) own.push(byte);
    else own.push(BACKSLASH, escaped.charCodeAt(0));
  }
  own.push(QUOTE);
  return Uint8Array.from(own);
}

const QUOTE = 0x27;
const BACKSLASH = 0x5c;

/** By byte: NUL, backspace, tab, line ends, SUB, quotes, backslash. */
const SQL_ESCAPES: Readonly<Record<number, string>> = {
  0: '0',
  8: 'b',
  9: 't',
  10: 'n',
  13: 'r',
  26: 'Z',
  34: '"',
  39: "'",
  92: '\\',
};

/** For the modules of the prelude. */
export const moreCodecs: Library = {
  to_hex: codec('to_hex', (call) => hex(call.bytes(1))),
  encode_base64url: codec('encode_base64url', (call) =>
    base64(call.bytes(1), true).replaceAll('+', '-').replaceAll('/', '_'),
  ),
  decode_base64url: codec('decode_base64url', (call) =>
    fromBase64(call.text(1).replaceAll('-', '+').replaceAll('_', '/')),
  ),
  digest: codec('digest', (call) => {
    const algorithm = DIGESTS[call.text(1)];
    if (algorithm === undefined) throw new Error(`there is no digest ${call.text(1)}`);
    call.charge(call.bytes(2).length / 2);
    return algorithm(call.bytes(2).slice());
  }),
  hmac: codec('hmac', (call) => {
    const algorithm = DIGESTS[call.text(1)];
    if (algorithm === undefined) throw new Error(`there is no digest ${call.text(1)}`);
    call.charge(A_DIGEST + call.bytes(3).length / 2);
    return hmac(algorithm, call.bytes(2).slice(), call.bytes(3).slice());
  }),
  random_bytes: codec('random_bytes', (call) => {
    const size = call.number(1);
    if (size < 0 || size > 65_536) throw new Error('a length from 0 to 65536 is expected');
    return crypto.getRandomValues(new Uint8Array(size));
  }),
};

const DIGESTS: Readonly<Record<string, CHash>> = {
  md5,
  sha1,
  sha224,
  sha256,
  sha384,
  sha512,
};

/** Digests and encodings cost by the length of what they are given: so many instructions a byte. */
function codec(name: string, run: (call: LuaCall) => LuaResult, rate = 1 / 2): LuaNative {
  return new LuaNative(name, (call) => {
    call.charge(A_DIGEST + (call.type(1) === 'string' ? call.bytes(1).length * rate : 0));
    return run(call);
  });
}

/** What each of them costs, however short it is. */
const A_DIGEST = 200;

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function base64(bytes: Uint8Array, unpadded: boolean): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  const encoded = btoa(text);
  return unpadded ? encoded.replace(/=+$/, '') : encoded;
}

/** Undefined for what is no base64. */
function fromBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xed_b8_83_20 : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xff_ff_ff_ff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0);
  return (crc ^ 0xff_ff_ff_ff) >>> 0;
}
