import { connect } from 'node:net';

/** An answer as it came over the socket. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/**
 * Sends lines, each as it is, as one request to a port of this machine, and gives the answer, which must have a length, come in chunks or have no
 * body. No client library adds, mends or refuses anything.
 */
export function rawRequest(port: number, head: readonly string[], body = ''): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(`${head.join('\r\n')}\r\n\r\n${body}`));
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      const answer = parse(text);
      // Who leaves before the last chunk has left in the middle.
      if (answer === null || (answer.headers.get('transfer-encoding') === 'chunked' && !LAST_CHUNK.test(text))) return;
      resolve(answer);
      socket.destroy();
    });
    socket.setTimeout(60_000, () => socket.destroy(new Error(`no answer in 60 s to ${head[0]}`)));
    socket.once('error', reject).once('close', () => {
      const answer = parse(text);
      if (answer === null) reject(new Error(`no whole answer to ${head[0]}: ${text}`));
      else resolve(answer);
    });
  });
}

/** With trailers or without. */
const LAST_CHUNK = /\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n$/;

/** Null while it is incomplete; of one in chunks what there is of it. */
function parse(text: string): RawAnswer | null {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [status = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const body = text.slice(end + 4);
  if (body.length < Number(headers.get('content-length') ?? 0)) return null;
  return { status: Number(status.split(' ')[1]), headers, body: Buffer.from(body, 'latin1').toString('utf8') };
}
