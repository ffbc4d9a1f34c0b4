import { messageOf } from '../../../shared/thrown.ts';
import { ReadTimeout, withTimeout } from '../../http/read-timeout.ts';
import { bracketed } from '../../proxy/egress/egress.ts';
import type { Network } from '../../proxy/egress/network.ts';
import {
  type Address,
  type Connection,
  type ConnectOptions,
  ServiceError,
  type Services,
  type TlsOptions,
} from '../runtime/services.ts';
import { patienceOf } from './patience.ts';

/** Connections over the runtime's own sockets, whose TLS always verifies against the public CAs. */
export function connectService(network: Pick<Network, 'connect'>): Services['connect'] {
  return async (address, { tls, timeout: given }) => {
    const timeout = patienceOf(given);
    if (tls !== null) refuseUnsupported(tls);
    const where = `${bracketed(address.host)}:${address.port}`;
    try {
      const socket = network.connect(where, { secureTransport: secureTransport(tls), allowHalfOpen: false });
      socket.closed.catch(() => undefined);
      await withTimeout(socket.opened, timeout);
      return connection(socket, address);
    } catch (error) {
      if (error instanceof ReadTimeout)
        throw new ServiceError('timeout', `no connection to ${where} within ${timeout} ms`);
      throw new ServiceError(tls === null ? 'unreachable' : 'tls', `${where}: ${messageOf(error)}`, { cause: error });
    }
  };
}

/** A plain connection may go over to TLS later. */
function secureTransport(tls: ConnectOptions['tls']): 'on' | 'starttls' {
  return tls === null ? 'starttls' : 'on';
}

function refuseUnsupported({ verify, ca = [], certificate = null }: TlsOptions): void {
  if (!verify) throw new ServiceError('unsupported', 'this data plane takes no certificate unchecked');
  if (ca.length > 0) throw new ServiceError('unsupported', 'this data plane trusts no private CAs');
  if (certificate !== null) throw new ServiceError('unsupported', 'this data plane presents no client certificates');
}

function connection(socket: Socket, address: Address): Connection {
  const close = (): Promise<void> => socket.close().catch(() => undefined);
  return {
    readable: socket.readable,
    writable: socket.writable,
    reused: false,
    async startTls(options) {
      refuseUnsupported(options);
      const secured = socket.startTls({ expectedServerHostname: options.serverName ?? address.host });
      secured.closed.catch(() => undefined);
      try {
        await secured.opened;
      } catch (error) {
        throw new ServiceError('tls', `${address.host}:${address.port}: ${messageOf(error)}`, { cause: error });
      }
      return connection(secured, address);
    },
    keep: close,
    close,
  };
}
