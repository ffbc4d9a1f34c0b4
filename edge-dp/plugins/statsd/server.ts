import type { SendBatch, Services } from '../runtime/services.ts';
import { writeWhole } from '../write-whole.ts';

export interface StatsdServer {
  readonly host: string;
  readonly port: number;
  readonly tcp: boolean;
  /** Bytes up to which lines share a UDP packet; 0: each has its own. */
  readonly packetSize: number;
}

/** Milliseconds for a connection, and to write to it, and for which one is kept. */
const TIMEOUT = 1_000;
const KEPT = 60_000;

/** Sends the lines of several requests to a StatsD server. */
export function statsdServer(server: StatsdServer, services: Services): SendBatch<readonly string[]> {
  if (!server.tcp) return (batch) => services.datagram(server, packets(batch.flat(), server.packetSize));
  return async (batch) => {
    const bytes = utf8.encode(batch.flatMap((lines) => lines.map((line) => `${line}\n`)).join(''));
    const connection = await services.connect(server, { tls: null, timeout: TIMEOUT, pool: 'statsd' });
    await writeWhole(connection, bytes, TIMEOUT);
    await connection.keep(KEPT);
  };
}

/** Lines joined by line feeds into packets of at most so many bytes; a longer one goes alone. */
export function packets(lines: readonly string[], size: number): readonly Uint8Array[] {
  if (size === 0) return lines.map((line) => utf8.encode(line));
  const full: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const line of lines) {
    const length = utf8.encode(line).length;
    if (bytes + 1 + length > size) {
      full.push([]);
      bytes = -1;
    }
    full.at(-1)?.push(line);
    bytes += 1 + length;
  }
  return full.map((joined) => utf8.encode(joined.join('\n')));
}

const utf8 = new TextEncoder();
