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
      await opened(socket, timeout);
      return connection(socket, address, timeout);
    } catch (error) {
      throw failureOf(error, tls === null ? 'unreachable' : 'tls', where, timeout);
    }
  };
}

/** Whoever does not answer in time is left alone: nobody else would close what is still under way. */
async function opened(socket: Socket, timeout: number): Promise<void> {
  socket.closed.catch(() => undefined);
  try {
    await withTimeout(socket.opened, timeout);
  } catch (error) {
    void socket.close().catch(() => undefined);
    throw error;
  }
}

function failureOf(error: unknown, code: ServiceError['code'], where: string, timeout: number): ServiceError {
  if (error instanceof ReadTimeout)
    return new ServiceError('timeout', `no connection to ${where} within ${timeout} ms`);
  return new ServiceError(code, `${where}: ${messageOf(error)}`, { cause: error });
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

function connection(socket: Socket, address: Address, timeout: number): Connection {
  const close = (): Promise<void> => socket.close().catch(() => undefined);
  return {
    readable: socket.readable,
    writable: socket.writable,
    reused: false,
    async startTls(options) {
      refuseUnsupported(options);
      const secured = socket.startTls({ expectedServerHostname: options.serverName ?? address.host });
      try {
        await opened(secured, timeout);
      } catch (error) {
        throw failureOf(error, 'tls', `${bracketed(address.host)}:${address.port}`, timeout);
      }
      return connection(secured, address, timeout);
    },
    keep: close,
    close,
  };
}
