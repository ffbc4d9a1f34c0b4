import { mustBeRecord } from '../../../shared/record.ts';
import { messageOf } from '../../../shared/thrown.ts';
import { askProcess } from '../../proxy/egress/ask.ts';
import {
  LONGEST_PACKET,
  type OpenedTunnel,
  packPackets,
  type SyslogEntry,
  type TunnelTarget,
  type TunnelTls,
} from '../../proxy/egress/host-services.ts';
import { TlsIdentities } from '../../proxy/egress/tls-identities.ts';
import { type Connection, ServiceError, type Services, type SyslogLine, type TlsOptions } from '../runtime/services.ts';
import { serviceErrorCode } from './failure-codes.ts';
import { patienceOf } from './patience.ts';

/** The `TUNNEL` binding. */
export type Tunnel = Pick<Fetcher, 'fetch' | 'connect'>;

/** What the host's egress process does for plugins: connections with any TLS, UDP, files, syslog. */
export function hostServices(tunnel: Tunnel): Pick<Services, 'connect' | 'datagram' | 'append' | 'syslog'> {
  const connections = new Tunnels(tunnel);
  return {
    connect: ({ host, port }, { tls, timeout, pool = null }) =>
      connections.open({ host, port, tls: null, timeout: patienceOf(timeout), pool }, tls),
    async datagram({ host, port }, packets) {
      const [long, ...others] = packets.filter((packet) => packet.byteLength > LONGEST_PACKET);
      const fitting = long === undefined ? packets : packets.filter((packet) => packet.byteLength <= LONGEST_PACKET);
      if (long !== undefined) {
        const problem = `${long.byteLength} bytes are more than a UDP packet holds`;
        if (fitting.length === 0) throw new ServiceError('protocol', problem);
        // Those beside it are not to be lost with it.
        console.error(
          `${host}:${port} over UDP: ${1 + others.length} of ${packets.length} packets were lost: ${problem}`,
        );
      }
      await told(tunnel, `datagrams/${encodeURIComponent(host)}/${port}`, packPackets(fitting));
    },
    append: ({ path, reopen }, text) =>
      told(tunnel, `files?${new URLSearchParams({ path, reopen: `${reopen}` })}`, text),
    syslog: (lines) => told(tunnel, 'syslog', JSON.stringify(lines.map(entryOf))),
  };
}

/** Connections through the egress process. */
class Tunnels {
  readonly #tunnel: Tunnel;
  readonly #identities: TlsIdentities;

  constructor(tunnel: Tunnel) {
    this.#tunnel = tunnel;
    this.#identities = new TlsIdentities(tunnel);
  }

  open(target: TunnelTarget, tls: TlsOptions | null): Promise<Connection> {
    return this.#withIdentity(tls, async (secured) => {
      const opened = await this.#opened('tunnels', { ...target, tls: secured });
      return this.#carried(opened, target.host);
    });
  }

  async #carried({ ticket, reused }: OpenedTunnel, host: string): Promise<Connection> {
    const socket = this.#tunnel.connect(`${ticket}:1`, { secureTransport: 'off', allowHalfOpen: true });
    socket.closed.catch(() => undefined);
    try {
      await socket.opened;
    } catch (error) {
      throw new ServiceError('unreachable', `${host}: the connection was lost: ${messageOf(error)}`, { cause: error });
    }
    const release = (): Promise<void> => socket.close().catch(() => undefined);
    return {
      readable: socket.readable,
      writable: socket.writable,
      reused,
      startTls: (options) =>
        this.#withIdentity(options, async (secured) => {
          const opened = await this.#opened(`tunnels/${ticket}/tls`, secured);
          await release();
          return this.#carried(opened, host);
        }),
      close: release,
      keep: async (milliseconds) => {
        try {
          await ask(this.#tunnel, `tunnels/${ticket}/idle?milliseconds=${milliseconds}`, '');
        } catch (error) {
          // What cannot be kept has been closed meanwhile; of what has not gone through nobody else would tell.
          if (error instanceof ServiceError && error.code === 'timeout') throw error;
        } finally {
          await release();
        }
      },
    };
  }

  async #opened(path: string, target: TunnelTarget | TunnelTls | null): Promise<OpenedTunnel> {
    const { ticket, reused } = mustBeRecord(await ask(this.#tunnel, path, JSON.stringify(target)), 'the open tunnel');
    return { ticket: String(ticket), reused: reused === true };
  }

  /** Names the TLS, and does so again when the process does not know the name any more. */
  async #withIdentity<T>(tls: TlsOptions | null, use: (secured: TunnelTls | null) => Promise<T>): Promise<T> {
    if (tls === null) return await use(null);
    const { verify, ca = [], certificate = null, serverName } = tls;
    const identity = await this.#identities.nameOf({ verify, verifyDepth: null, ca, certificate });
    try {
      return await use({ identity, serverName });
    } catch (error) {
      if (identity === null || !(error instanceof UnknownIdentity)) throw error;
      this.#identities.forget(identity);
      const again = await this.#identities.nameOf({ verify, verifyDepth: null, ca, certificate });
      return await use({ identity: again, serverName });
    }
  }
}

class UnknownIdentity extends Error {}

async function ask(tunnel: Tunnel, path: string, body: string | Uint8Array): Promise<unknown> {
  const { failure, answer } = await askProcess(tunnel, path, body);
  if (failure === null) return answer;
  if (failure.code === 'unknown_identity') throw new UnknownIdentity(failure.message);
  throw new ServiceError(serviceErrorCode(failure.code), failure.message);
}

async function told(tunnel: Tunnel, path: string, body: string | Uint8Array): Promise<void> {
  await ask(tunnel, path, body);
}

function entryOf({ facility, severity, message }: SyslogLine): SyslogEntry {
  return { priority: FACILITIES.indexOf(facility) * 8 + SEVERITIES.indexOf(severity), text: message };
}

/** In the order of their numbers (RFC 3164 section 4.1.1). */
const SEVERITIES = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'] as const;
const FACILITIES = [
  ...['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp'],
  ...['', '', '', ''],
  ...['local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'],
];
