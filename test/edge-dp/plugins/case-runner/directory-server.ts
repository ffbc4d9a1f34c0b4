import { createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { generateListenerCertificate } from '../../../../cp/pki/certificate.ts';

/** An LDAP server (RFC 4511) that knows four people, for simple binds and StartTLS. */
export interface DirectoryServer {
  readonly port: number;
  /** The names of all binds, in their order, and whether each came over TLS. */
  readonly binds: { readonly name: string; readonly secure: boolean }[];
  /** Connections that were made so far. */
  readonly connections: number;
  /** Ends all connections. */
  disconnect(): void;
  stop(): Promise<void>;
}

/** How a server is other than usual. */
interface DirectoryOptions {
  readonly pair?: { readonly cert: string; readonly key: string };
  /** `at once`: it speaks TLS from the start; `never`: it refuses StartTLS. */
  readonly tls?: 'at once' | 'on request' | 'never';
  /** The bytes it answers a bind with in place of its own; null: its own. */
  readonly reply?: (name: string) => Buffer | null;
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

export async function startDirectoryServer({
  pair,
  tls = 'on request',
  reply = () => null,
}: DirectoryOptions = {}): Promise<DirectoryServer> {
  const secureContext = createSecureContext(pair ?? (await generateListenerCertificate()));
  const sockets = new Set<Socket>();
  const binds: { name: string; secure: boolean }[] = [];
  let connections = 0;
  const secure = (socket: Socket): void => {
    socket.removeAllListeners('data');
    serve(new TLSSocket(socket, { isServer: true, secureContext }), true);
  };
  const serve = (socket: Socket, isSecure: boolean): void =>
    answerMessages(socket, {
      startTls: isSecure || tls !== 'on request' ? null : () => secure(socket),
      bind(name, password) {
        binds.push({ name, secure: isSecure });
        return reply(name) ?? (PEOPLE.get(name.toLowerCase()) === password ? SUCCESS : INVALID_CREDENTIALS);
      },
    });
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    if (tls === 'at once') secure(socket);
    else serve(socket, false);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const disconnect = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    binds,
    get connections() {
      return connections;
    },
    disconnect,
    stop() {
      disconnect();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

interface Service {
  /** Takes the connection over for TLS; null: it does not. */
  readonly startTls: (() => void) | null;
  /** Gives a result code, or the bytes to answer. Undefined password: it was no simple bind. */
  bind(name: string, password: string | undefined): number | Buffer;
}

function answerMessages(socket: Socket, { startTls, bind }: Service): void {
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
        const code = bind(String(name?.content), password?.tag === TAG.simple ? String(password.content) : undefined);
        socket.write(typeof code === 'number' ? bindResult(code, id.content) : code);
      } else {
        const [name] = elements(operation.content);
        const wanted = operation.tag === OPERATION.extended && String(name?.content) === START_TLS;
        if (wanted && startTls !== null) {
          socket.write(answer(id.content, OPERATION.extendedAnswer, SUCCESS));
          startTls();
          return;
        }
        socket.write(answer(id.content, OPERATION.extendedAnswer, PROTOCOL_ERROR));
      }
    }
  });
}

/** A whole answer to a bind; the message is number 1 unless said otherwise. */
export function bindResult(code: number, id: Buffer = Buffer.of(1)): Buffer {
  return answer(id, OPERATION.bound, code);
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
