import { messageOf } from '../../shared/thrown.ts';
import type { PeerAddress } from '../settings/addresses.ts';
import { formatAddress } from '../settings/addresses.ts';

/** Names the setting whose address cannot be bound, and what to do about it. */
export function bindFailure(setting: string, address: PeerAddress, error: unknown): Error {
  const subject = `${setting}: cannot listen on ${formatAddress(address)}`;
  switch (error instanceof Error && 'code' in error ? error.code : undefined) {
    case 'EADDRINUSE':
      return new Error(`${subject}: the port is in use; stop what uses it, or set another port`, { cause: error });
    case 'EACCES':
      return new Error(`${subject}: not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE`, {
        cause: error,
      });
    case 'EADDRNOTAVAIL':
      return new Error(`${subject}: that is not an address of this machine`, { cause: error });
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Error(`${subject}: the name does not resolve`, { cause: error });
    default:
      return new Error(`${subject}: ${messageOf(error)}`, { cause: error });
  }
}
