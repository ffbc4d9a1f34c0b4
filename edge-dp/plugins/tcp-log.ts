import type { TcpLogConfig } from '../../shared/plugins/tcp-log.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { compileCustomFields } from './custom-log-fields.ts';
import { fingerprint } from './fingerprint.ts';
import { type Logged, logText } from './log-entry.ts';
import type { Plugin } from './runtime/plugin.ts';
import { ServiceError, type Services } from './runtime/services.ts';
import { UNQUEUED } from './unqueued.ts';
import { writeWhole } from './write-whole.ts';

/** Sends log entries over TCP, a line each, on a connection that is kept for `keepalive` milliseconds. */
const tcpLog: Plugin<TcpLogConfig> = {
  name: 'tcp-log',
  version: KONG_VERSION,
  priority: 7,
  watches: true,
  compile({ custom_fields_by_lua, timeout, keepalive, ...rest }, place, services) {
    const peer: Peer = { ...rest, timeout: timeout ?? 10_000, keepalive: keepalive ?? 60_000 };
    const custom = compileCustomFields(custom_fields_by_lua, { plugin: 'tcp-log', place, services });
    const { host, port, tls, tls_sni } = peer;
    // Those that are sent otherwise do not share a queue, which sends as its first user said, also once that one is gone.
    const key = fingerprint([peer.timeout, peer.keepalive]);
    const name = `tcp-log ${host}:${port}${tls ? ` over TLS as ${tls_sni ?? host}` : ''} ${key}`;
    const lines = services.queue<string>(name, UNQUEUED, (batch) =>
      send(services, peer, utf8.encode(`${batch.join('\n')}\n`)),
    );
    const log = (exchange: Logged): void =>
      custom.fill(exchange, () => lines.push(logText(exchange), exchange.request));
    return {
      log,
      logStream: log,
      close() {
        lines.close();
        custom.close();
      },
    };
  },
};

export default tcpLog;

const utf8 = new TextEncoder();

interface Peer extends Pick<TcpLogConfig, 'host' | 'port' | 'tls' | 'tls_sni'> {
  /** Milliseconds. */
  readonly timeout: number;
  readonly keepalive: number;
}

async function send(services: Services, peer: Peer, bytes: Uint8Array): Promise<void> {
  const { host, port, timeout, keepalive, tls, tls_sni } = peer;
  const options = { tls: tls ? { serverName: tls_sni, verify: true } : null, timeout };
  const connection = await services.connect({ host, port }, { ...options, pool: 'tcp-log' });
  try {
    await writeWhole(connection, bytes, timeout);
  } catch (error) {
    if (!connection.reused || isTimeout(error)) throw error;
    // It had been closed while nobody used it.
    const fresh = await services.connect({ host, port }, options);
    await writeWhole(fresh, bytes, timeout);
    return fresh.keep(keepalive);
  }
  return connection.keep(keepalive);
}

/** Of a peer that is there, and takes nothing. */
function isTimeout(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'timeout';
}
