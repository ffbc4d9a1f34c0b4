import type { UdpLogConfig } from '../../shared/plugins/udp-log.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { compileCustomFields } from './custom-log-fields.ts';
import { type Logged, logText } from './log-entry.ts';
import { packetQueue } from './packet-queue.ts';
import type { Plugin } from './runtime/plugin.ts';

/** Sends log entries over UDP, a packet each. */
const udpLog: Plugin<UdpLogConfig> = {
  name: 'udp-log',
  version: KONG_VERSION,
  priority: 8,
  watches: true,
  compile({ host, port, custom_fields_by_lua }, place, services) {
    const custom = compileCustomFields(custom_fields_by_lua, { plugin: 'udp-log', place, services });
    const packets = packetQueue('udp-log', { host, port }, services);
    const log = (exchange: Logged): void =>
      custom.fill(exchange, () => packets.push(logText(exchange), exchange.request));
    return {
      log,
      logStream: log,
      close() {
        packets.close();
        custom.close();
      },
    };
  },
};

export default udpLog;
