import { dataPlaneFlags, type ListenAddress, parseHostPort } from './addresses.ts';
import type { Property } from './property.ts';

/** Where a data plane listens for TCP, TLS or UDP. */
export interface StreamListenAddress extends ListenAddress {
  readonly udp: boolean;
}

/** Words Kong allows; those behind the first line tune nginx's sockets and change nothing here. */
const FLAGS = /^(ssl|udp|proxy_protocol|ipv6only=(?:on|off)|bind|reuseport|backlog=\d+|so_keepalive=[\w:]+)$/;

/** Kong's `stream_listen`: `host:port [ssl|udp] …, …` or `off`. */
export const streamListen: Property<readonly StreamListenAddress[]> = {
  default: 'off',
  allowed:
    "'off', or comma-separated 'host:port' with optional 'ssl', 'proxy_protocol' or 'udp', 'reuseport', 'bind', 'backlog=N', " +
    "'ipv6only=on', 'ipv6only=off', 'so_keepalive=…'",
  secret: false,
  emptyIsDefault: false,
  parse: (value) => {
    if (/^\s*off\s*(,|$)/.test(value)) return [];
    const addresses: StreamListenAddress[] = [];
    for (const item of value.split(',')) {
      const [address = '', ...flags] = item.trim().split(/\s+/);
      const peer = parseHostPort(address, 0);
      const [tls, udp] = [flags.includes('ssl'), flags.includes('udp')];
      if (!peer || !flags.every((flag) => FLAGS.test(flag)) || (udp && (tls || flags.includes('proxy_protocol'))))
        return undefined;
      addresses.push({ ...peer, tls, http2: false, udp, ...dataPlaneFlags(flags) });
    }
    return addresses;
  },
};
