/**
 * What connections, packets and lines of plugins' own say to the host's egress process over the `TUNNEL` binding, in the manner of
 * `protocol.ts`: what could not be done comes back as an answer with the header `EGRESS_ERROR`. Both sides import this file.
 *
 * - `POST /tunnels` with a `TunnelTarget` connects, handshake included, and answers an `OpenedTunnel`. `CONNECT <ticket>:1` then
 *   carries the connection's bytes: once for each ticket, and within `TICKET_LIFE`. When it ends, so does the connection.
 * - `POST /tunnels/<ticket>/tls` with a `TunnelTls` goes over to TLS: it takes the connection away from the CONNECT that carried it,
 *   with every byte sent in clear so far, and answers an `OpenedTunnel` with another ticket.
 * - `POST /tunnels/<ticket>/idle?milliseconds=<n>` leaves a connection for the next tunnel to the same target, that long.
 * - `POST /datagrams/<host>/<port>` sends UDP packets, `packPackets` in the body.
 * - `POST /files?path=<path>&reopen=<true|false>` appends the body to a file.
 * - `POST /syslog` writes to the machine's syslog: the body is a list of `SyslogEntry`.
 */

/** Milliseconds for which an open connection waits for its CONNECT. */
export const TICKET_LIFE = 10_000;

/** How to do TLS: as `EgressTarget.tls`, but that a null identity also trusts `lua_ssl_trusted_certificate`. */
export interface TunnelTls {
  readonly identity: string | null;
  readonly serverName: string | null;
}

export interface TunnelTarget {
  readonly host: string;
  readonly port: number;
  readonly tls: TunnelTls | null;
  /** Milliseconds for name resolution, TCP and TLS together; later for the TLS of `POST …/tls`. */
  readonly timeout: number;
  /** Only an idle connection that was opened under the same name is taken again; null: none is. */
  readonly pool: string | null;
}

export interface OpenedTunnel {
  readonly ticket: string;
  /** It had been left idle by another tunnel. */
  readonly reused: boolean;
}

/** A line for syslog. `priority`: facility times 8 plus severity (RFC 3164 section 4.1.1). */
export interface SyslogEntry {
  readonly priority: number;
  readonly text: string;
}

/** Packets behind each other, each with its length in two bytes before it: UDP has none that are longer. */
export function packPackets(packets: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(packets.reduce((total, packet) => total + 2 + packet.byteLength, 0));
  let at = 0;
  for (const packet of packets) {
    packed[at] = packet.byteLength >> 8;
    packed[at + 1] = packet.byteLength;
    packed.set(packet, at + 2);
    at += 2 + packet.byteLength;
  }
  return packed;
}

/** Longest payload of a UDP packet over IPv4. */
export const LONGEST_PACKET = 65_507;

/** Reads `packPackets`. Throws a `RangeError` when the last one is cut off. */
export function unpackPackets(packed: Uint8Array): readonly Uint8Array[] {
  const packets: Uint8Array[] = [];
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  for (let at = 0; at < packed.byteLength; ) {
    const length = view.getUint16(at);
    if (at + 2 + length > packed.byteLength) throw new RangeError('the last packet is cut off');
    packets.push(packed.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return packets;
}
