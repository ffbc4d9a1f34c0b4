import { readFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { parseIp } from '../../../shared/atc/ip.ts';

/** Linux' tables of TCP connections (proc(5)): IPv4, and IPv6 with IPv4 on sockets of both. */
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
/** Milliseconds for which one reading of them serves all who ask. */
const FRESH = 200;
/** A row in the state CLOSE_WAIT: the local port, the remote address and port. */
const CLOSED_ROW = /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) ([0-9A-F]+:[0-9A-F]{4}) 08 /gm;

/** Knows of clients' connections what their owner, workerd, does not notice: that the other side has closed them. */
export class ClientConnections {
  #closed: Promise<ReadonlySet<string>> | null = null;

  /**
   * Whether the client has closed its side of the connection from `ip` and `port` to this machine's port `to`. False where
   * nothing is known of it, and on systems without such tables.
   */
  async isClosed(ip: string, port: number, to: number): Promise<boolean> {
    const remote = remoteAddresses(ip);
    const closed = await this.#read();
    return remote.some((address) => closed.has(`${portText(to)} ${address}:${portText(port)}`));
  }

  #read(): Promise<ReadonlySet<string>> {
    if (this.#closed === null) {
      this.#closed = readClosed();
      setTimeout(() => {
        this.#closed = null;
      }, FRESH).unref();
    }
    return this.#closed;
  }
}

async function readClosed(): Promise<ReadonlySet<string>> {
  const tables = await Promise.all(TABLES.map((path) => readFile(path, 'latin1').catch(() => '')));
  const closed = new Set<string>();
  for (const table of tables)
    for (const [, to = '', remote = ''] of table.matchAll(CLOSED_ROW)) closed.add(`${to} ${remote}`);
  return closed;
}

/** The forms an address has in the tables: words as the machine holds them, in hexadecimal. */
function remoteAddresses(ip: string): string[] {
  const address = parseIp(ip);
  if (address === null) return [];
  const words = address.words.map(wordText).join('');
  return address.family === 6 ? [words] : [words, [0, 0, 0xffff].map(wordText).join('') + words];
}

function wordText(word: number): string {
  const bytes = Buffer.alloc(4);
  if (endianness() === 'LE') bytes.writeUInt32LE(word);
  else bytes.writeUInt32BE(word);
  return bytes.toString('hex').toUpperCase();
}

function portText(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}
