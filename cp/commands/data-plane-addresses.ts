import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import type { Log } from '../instance/log.ts';
import type { ListenAddress } from '../settings/addresses.ts';
import type { Settings } from '../settings/properties.ts';

/** Where a data plane of these settings is and listens, and how many processes it has: what is known of it before any file is read. */
export function dataPlaneAddresses(settings: Settings) {
  const { role, data_plane_host: host, nginx_worker_processes: processes } = settings;
  const prefix = resolve(settings.prefix);
  return {
    prefix: role === 'traditional' ? join(prefix, 'data-plane') : prefix,
    proxyListen: settings.proxy_listen.map(address),
    statusListen: settings.status_listen.map(address),
    streamListen:
      host === 'node'
        ? settings.stream_listen.map((listener) => ({
            ...address(listener),
            udp: listener.udp === true,
            sendProxyProtocol: settings.nginx_stream_proxy_protocol,
          }))
        : [],
    processes: processes === 'auto' ? availableParallelism() : processes,
  };
}

function address({ host, port, http2, proxyProtocol = false, dualStack = false }: ListenAddress) {
  return { host, port, http2, proxyProtocol, dualStack };
}

/** Where what a data plane says goes. */
export function dataPlaneOutput(log: Log) {
  return {
    log: log.part('data plane'),
    output: (to: 'stdout' | 'stderr', line: string) => void process[to].write(`${line}\n`),
  };
}
