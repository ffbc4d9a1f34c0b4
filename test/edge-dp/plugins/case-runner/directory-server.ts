import { createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { generateListenerCertificate } from '../../../../cp/pki/certificate.ts';

/** An LDAP server (RFC 4511) that knows four people, for simple binds and StartTLS. */
export interface DirectoryServer {
  readonly port: number;
  stop(): Promise<void>;
}

const BASE = 'ou=people,dc=example,dc=test';
/** Passwords by distinguished name. */
const PEOPLE = new Map([
  [`uid=ada,${BASE}`, 'engine'],
  [`uid=grace,${BASE}`, 'co:bol'],
  [`uid=alan@example.test,${BASE}`, 'pass word'],
  [`cn=ada,${BASE}`, 'other'],
]);

const START_TLS = '1.3.6.1.4.1.1466.20037';
const [SUCCESS, PROTOCOL_ERROR, INVALID_CREDENTIALS] = [0, 2, 49];
const TAG = { integer: 0x02, string: 0x04, enumerated: 0x0a, sequence: 0x30, simple: 0x80 } as const;
const OPERATION = { bind: 0x60, bound: 0x61, unbind: 0x42, extended: 0x77, extendedAnswer: 0x78 } as const;

export async function startDirectoryServer(): Promise<DirectoryServer> {
  const context = createSecureContext(await generateListenerCertificate());
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, () => {
      socket.removeAllListeners('data');
      serve(new TLSSocket(socket, { isServer: true, secureContext: context }), null);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Answers messages; `secure` takes the connection over for TLS. */
function serve(socket: Socket, secure: (() => void) | null): void {
  let buffer = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => {
    buffer = Buffer.concat([buffer, data]);
    for (let message = element(buffer); message !== null; message = element(buffer)) {
      buffer = buffer.subarray(message.size);
      const [id, operation] = elements(message.content);
      if (id === undefined || operation === undefined || operation.tag === OPERATION.unbind) {
        socket.end();
      } else if (operation.tag === OPERATION.bind) {
        const [, name, password] = elements(operation.content);
        const known = PEOPLE.get(String(name?.content).toLowerCase());
        const right = password?.tag === TAG.simple && known !== undefined && known === String(password.content);
        socket.write(answer(id.content, OPERATION.bound, right ? SUCCESS : INVALID_CREDENTIALS));
      } else {
        const [name] = elements(operation.content);
        const startTls = operation.tag === OPERATION.extended && String(name?.content) === START_TLS;
        if (startTls && secure !== null) {
          socket.write(answer(id.content, OPERATION.extendedAnswer, SUCCESS));
          secure();
          return;
        }
        socket.write(answer(id.content, OPERATION.extendedAnswer, PROTOCOL_ERROR));
      }
    }
  });
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** Bytes it takes with its header. */
  readonly size: number;
}

/** The first BER element of the bytes; null while it is incomplete. */
function element(bytes: Buffer): Element | null {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined) return null;
  const more = first < 0x80 ? 0 : first & 0x7f;
  if (bytes.length < 2 + more) return null;
  const length = more === 0 ? first : bytes.readUIntBE(2, more);
  const size = 2 + more + length;
  return bytes.length < size ? null : { tag, content: bytes.subarray(2 + more, size), size };
}

function elements(bytes: Buffer): readonly Element[] {
  const first = element(bytes);
  return first === null ? [] : [first, ...elements(bytes.subarray(first.size))];
}

/** Contents here are shorter than 128 bytes, whose length is one byte. */
function encoded(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, content.length]), content]);
}

function answer(id: Buffer, operation: number, code: number): Buffer {
  const nothing = encoded(TAG.string);
  const result = encoded(operation, encoded(TAG.enumerated, Buffer.from([code])), nothing, nothing);
  return encoded(TAG.sequence, encoded(TAG.integer, id), result);
}
