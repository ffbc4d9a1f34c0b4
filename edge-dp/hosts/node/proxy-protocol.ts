import { isIP, type Server, type Socket } from 'node:net';
import type { ProxiedClient } from '../../stream/passage.ts';
import { endsOf } from './known-peer.ts';
import { type FirstBytes, preread } from './stream/preread.ts';

/** Bytes of a header, its additions included: nginx's bound. */
const MOST_HEADER = 4096;
/** Bytes of a line of version 1, its end included. */
const LONGEST_LINE = 107;

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Signature, version and command, family, length. */
const FIXED = SIGNATURE.length + 4;

type Header = { readonly client: ProxiedClient | null };

/**
 * Reads the header of the PROXY protocol, version 1 or 2, that a connection begins with, and leaves what follows. `client` is null
 * where it names nobody. Null: there is none within `patience` ms, and the connection is closed.
 */
export function readProxyHeader(socket: Socket, patience: number): Promise<Header | null> {
  return preread(socket, proxyHeader, { most: MOST_HEADER, patience });
}

/**
 * Has each connection of a server begin with such a header before anybody else sees it. Gives whom one of its connections, or the TLS
 * over it, was opened for.
 */
export function expectProxyHeaders(server: Server, patience: number): (socket: Socket) => ProxiedClient | null {
  const opened = new Map<string, { readonly socket: Socket; readonly client: ProxiedClient | null }>();
  const serve = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', async (socket) => {
    socket.on('error', () => socket.destroy());
    const header = await readProxyHeader(socket, patience);
    if (header === null || socket.destroyed) return;
    const ends = endsOf(socket);
    // Its other end has reset that, or there could not be another like it: a connection that nobody reads from does not find out.
    opened.get(ends)?.socket.destroy();
    opened.set(ends, { socket, client: header.client });
    socket.once('close', () => {
      if (opened.get(ends)?.socket === socket) opened.delete(ends);
    });
    for (const listener of serve) Reflect.apply(listener, server, [socket]);
  });
  return (socket) => opened.get(endsOf(socket))?.client ?? null;
}

/** The header of version 1 that tells an upstream whom a connection is for, and where it came to. IPv4 is written as IPv6 where only one of them is. */
export function proxyHeaderOf(
  client: ProxiedClient,
  local: { readonly ip: string | null; readonly port: number },
): string {
  const families = [isIP(client.ip), isIP(local.ip ?? '')];
  if (local.ip === null || families.includes(0)) return 'PROXY UNKNOWN\r\n';
  const mixed = families[0] !== families[1];
  const [from, to] = [client.ip, local.ip].map((ip) => (mixed && isIP(ip) === 4 ? `::ffff:${ip}` : ip));
  const family = mixed || families[0] === 6 ? 'TCP6' : 'TCP4';
  return `PROXY ${family} ${from} ${to} ${client.port ?? 0} ${local.port}\r\n`;
}

/** What the first bytes say; null: they are no header. */
export function proxyHeader(bytes: Buffer): FirstBytes<Header> | null {
  const begins = bytes.subarray(0, SIGNATURE.length);
  if (SIGNATURE.subarray(0, begins.length).equals(begins))
    return bytes.length < FIXED ? 'more' : binaryHeader(bytes, bytes.readUInt16BE(FIXED - 2));
  return lineHeader(bytes);
}

/** Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 12345 443` and CRLF. */
function lineHeader(bytes: Buffer): FirstBytes<Header> | null {
  const end = bytes.indexOf('\r\n', 0, 'latin1');
  const line = bytes.subarray(0, end < 0 ? LONGEST_LINE : end).toString('latin1');
  if (!'PROXY '.startsWith(line.slice(0, 6))) return null;
  if (end < 0) return bytes.length < LONGEST_LINE ? 'more' : null;
  if (end + 2 > LONGEST_LINE) return null;
  const taken = end + 2;
  const [, family = '', source = '', destination = '', sourcePort = '', destinationPort = '', more] = line.split(' ');
  if (family === 'UNKNOWN') return { value: { client: null }, taken };
  const kind = { TCP4: 4, TCP6: 6 }[family];
  const port = portOf(sourcePort);
  const whole = kind !== undefined && isIP(source) === kind && isIP(destination) === kind && more === undefined;
  if (!whole || port === null || portOf(destinationPort) === null) return null;
  return { value: { client: { ip: source, port } }, taken };
}

function portOf(text: string): number | null {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : null;
}

/** Families of version 2: IPv4 and IPv6, by the bytes of an address. */
const ADDRESS_BYTES: Readonly<Record<number, 4 | 16>> = { 1: 4, 2: 16 };

/** Version 2. What a proxy says for itself (LOCAL), and addresses of other families, name nobody. */
function binaryHeader(bytes: Buffer, length: number): FirstBytes<Header> | null {
  const [versionAndCommand = 0, familyAndTransport = 0] = bytes.subarray(SIGNATURE.length, FIXED);
  const taken = FIXED + length;
  const command = versionAndCommand & 15;
  if (versionAndCommand >> 4 !== 2 || command > 1 || taken > MOST_HEADER) return null;
  if (bytes.length < taken) return 'more';
  const size = command === 1 ? ADDRESS_BYTES[familyAndTransport >> 4] : undefined;
  if (size === undefined) return { value: { client: null }, taken };
  if (length < size * 2 + 4) return null;
  const address = bytes.subarray(FIXED, FIXED + size);
  return { value: { client: { ip: textOf(address), port: bytes.readUInt16BE(FIXED + size * 2) } }, taken };
}

function textOf(address: Buffer): string {
  if (address.length === 4) return address.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => address.readUInt16BE(i * 2).toString(16));
  // The URL parser writes it as RFC 5952 says.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
