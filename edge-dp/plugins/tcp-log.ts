import type { TcpLogConfig } from '../../shared/plugins/tcp-log.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { compileCustomFields } from './custom-log-fields.ts';
import { type Logged, logText } from './log-entry.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { Connection, Services } from './runtime/services.ts';
import { UNQUEUED } from './unqueued.ts';

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
    const name = `tcp-log ${host}:${port}${tls ? ` over TLS as ${tls_sni ?? host}` : ''}`;
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
    await write(connection, bytes);
  } catch (error) {
    await connection.close();
    if (!connection.reused) throw error;
    // It had been closed while nobody used it.
    const fresh = await services.connect({ host, port }, options);
    await write(fresh, bytes);
    return fresh.keep(keepalive);
  }
  return connection.keep(keepalive);
}

async function write({ writable }: Connection, bytes: Uint8Array): Promise<void> {
  const writer = writable.getWriter();
  try {
    await writer.write(bytes);
  } finally {
    writer.releaseLock();
  }
}
