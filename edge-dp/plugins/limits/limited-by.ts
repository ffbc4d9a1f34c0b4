import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { normalizePath } from '../../../shared/normalize-path.ts';
import { firstLine } from '../../http/fields.ts';
import type { GatewayRequest } from '../runtime/request.ts';

/** What requests are told apart by; null: this one has none of it. */
type Identify = (request: GatewayRequest) => string | null;

interface LimitedBy {
  readonly limit_by: string | null;
  readonly header_name?: string | null;
  readonly path?: string | null;
}

/** Characters of an identifier that are kept as they are: what clients send must not fill the memory. */
const LONGEST = 128;

/** Who shares a limit with whom. Without what it is limited by, a request counts with those of its address. */
export function limitedBy({ limit_by, header_name, path }: LimitedBy): (request: GatewayRequest) => string {
  const identify = identifierOf(limit_by ?? 'consumer', header_name ?? '', path ?? '');
  return (request) => {
    const identifier = identify(request) ?? request.client.ip;
    return identifier.length <= LONGEST ? identifier : `sha256-${bytesToHex(sha256(utf8ToBytes(identifier)))}`;
  };
}

function identifierOf(limitBy: string, header: string, path: string): Identify {
  switch (limitBy) {
    case 'consumer':
      return ({ identity }) => identity.consumer?.id ?? identity.credential?.id ?? null;
    case 'credential':
      return ({ identity }) => identity.credential?.id ?? null;
    case 'service':
      return ({ service }) => service?.id ?? null;
    case 'header':
      return ({ headers }) => firstLine(headers, header);
    case 'path':
      return ({ rawPath }) => (rawPath === path || normalizePath(rawPath) === path ? path : null);
    default:
      return () => null;
  }
}
