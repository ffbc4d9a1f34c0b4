import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Credentials that the bucket knows. */
export const CREDENTIALS = {
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'se/cr+et',
  AWS_REGION: 'eu-test-1',
};

/**
 * Objects by path, as S3 has them (below `/bucket`, each request signed: Signature Version 4, computed here anew) and as any
 * server that takes PUT (below `/plain`, the same objects).
 */
export class Bucket {
  readonly objects = new Map<string, Buffer>();
  /** What was put, in order. */
  readonly puts: string[] = [];
  /** Answers everything with 503. */
  away = false;
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('request', async (request: IncomingMessage, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const [status, body] = this.#answer(request, Buffer.concat(parts));
      response.writeHead(status).end(body);
    });
  }

  static async start(): Promise<Bucket> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Bucket(server);
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #answer(request: IncomingMessage, body: Buffer): [number, string | Buffer] {
    if (this.away) return [503, '<Error>SlowDown</Error>'];
    const [, kind, ...rest] = (request.url ?? '').split('/');
    const name = decodeURIComponent(rest.join('/'));
    if (kind === 'bucket' && !isSigned(request, body))
      return [403, '<Error><Code>SignatureDoesNotMatch</Code></Error>'];
    if (request.method === 'PUT') {
      if (kind === 'bucket' && request.headers['x-amz-storage-class'] !== 'STANDARD_IA')
        return [400, 'no storage class'];
      this.objects.set(name, body);
      this.puts.push(name);
      return [200, ''];
    }
    if (request.method === 'DELETE') return [this.objects.delete(name) ? 204 : 404, ''];
    const found = this.objects.get(name);
    return found === undefined ? [404, ''] : [200, found];
  }
}

/** As S3 has each part of a path, however the client wrote it: all but unreserved characters (RFC 3986, 2.3). */
function encoded(part: string): string {
  return [...Buffer.from(part)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[\w.~-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

function isSigned(request: IncomingMessage, body: Buffer): boolean {
  const [, scope = '', names = '', signature = ''] =
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/([^,]+), SignedHeaders=([^,]+), Signature=(\w+)$/.exec(
      request.headers.authorization ?? '',
    ) ?? [];
  const digest = createHash('sha256').update(body).digest('hex');
  if (request.headers['x-amz-content-sha256'] !== digest || !names.split(';').includes('host')) return false;
  const headers = names.split(';').map((name) => `${name}:${String(request.headers[name])}`);
  const path = (request.url ?? '').split('/').map(decodeURIComponent).map(encoded).join('/');
  const canonical = [request.method, path, '', ...headers, '', names, digest].join('\n');
  const stamp = String(request.headers['x-amz-date']);
  const text = ['AWS4-HMAC-SHA256', stamp, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  let key: Buffer | string = `AWS4${CREDENTIALS.AWS_SECRET_ACCESS_KEY}`;
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest();
  return createHmac('sha256', key).update(text).digest('hex') === signature;
}
