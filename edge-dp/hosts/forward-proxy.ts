import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, rootCertificates } from 'node:tls';
import { messageOf } from '../../shared/thrown.ts';
import type { TrustOptions } from './options.ts';

/** A proxy that connections go through: to control planes that of `cluster_use_proxy` and `proxy_server`. */
export interface ForwardProxy {
  readonly host: string;
  readonly port: number;
  /** Absent: it asks nobody who they are. */
  readonly credentials?: { readonly user: string; readonly password: string };
  /** It is spoken to over TLS; `verify`: its certificate is looked at, by these CAs. Null: in clear. */
  readonly tls: { readonly verify: boolean; readonly trust: TrustOptions | null } | null;
}

/** How it is told of in messages, null: by its address alone; and the milliseconds it has until it has connected. */
interface Wanted {
  readonly name: string | null;
  readonly patience: number;
}

const TO_CONTROL_PLANES: Wanted = { name: 'proxy_server', patience: 10_000 };
/** Bytes of its answer's head. */
const LONGEST_HEAD = 16 << 10;

/**
 * A connection to `host:port` that the proxy makes (CONNECT: RFC 9110, 9.3.6), which resolves the name as well. What is spoken
 * over it, TLS with the control plane, the proxy cannot read. Rejects with what is wrong with the proxy, in plain words.
 */
export async function connectThrough(
  proxy: ForwardProxy,
  { host, port }: { readonly host: string; readonly port: number },
  { name, patience }: Wanted = TO_CONTROL_PLANES,
): Promise<Socket> {
  const where = `the proxy ${authority(proxy)}${name === null ? '' : ` (${name})`}`;
  const socket = await reached(proxy, patience).catch((error: unknown) => {
    throw new Error(`${where} cannot be reached: ${messageOf(error)}`);
  });
  try {
    const to = authority({ host, port });
    const lines = [`CONNECT ${to} HTTP/1.1`, `Host: ${to}`, ...authorization(proxy), '', ''];
    socket.write(lines.join('\r\n'));
    const status = await answered(socket, patience);
    if (status >= 200 && status <= 299) return socket;
    const why = status === 407 ? `: it does not take the user and password${name === null ? '' : ` of ${name}`}` : '';
    throw new Error(`it answers ${status} when asked for ${to}${why}`);
  } catch (error) {
    socket.destroy();
    throw new Error(`${where}: ${messageOf(error)}`);
  }
}

function authority({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

function authorization({ credentials }: ForwardProxy): readonly string[] {
  if (credentials === undefined) return [];
  const { user, password } = credentials;
  return [`Proxy-Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`];
}

function reached({ host, port, tls }: ForwardProxy, patience: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      tls === null
        ? connectTcp({ host, port, allowHalfOpen: true })
        : connectTls({
            host,
            port,
            ...(isIP(host) === 0 && { servername: host }),
            rejectUnauthorized: tls.verify,
            checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
            ...(tls.trust !== null && {
              ca: [...(tls.trust.publicCas ? rootCertificates : []), ...tls.trust.certificates],
            }),
          });
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(patience, () => fail(new Error(`no connection within ${patience / 1000} s`)));
    socket.once('error', fail);
    socket.once(tls === null ? 'connect' : 'secureConnect', () => {
      socket.setTimeout(0).removeAllListeners('timeout').off('error', fail);
      resolve(socket);
    });
  });
}

/** The status of its answer; what comes behind the head stays in the socket. */
function answered(socket: Socket, patience: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0);
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      socket.off('readable', read).off('error', fail).off('close', closed).off('end', closed);
      settle();
    };
    const fail = (error: Error): void => done(() => reject(error));
    const closed = (): void => fail(new Error('it closes the connection'));
    const timer = setTimeout(() => fail(new Error(`no answer within ${patience / 1000} s`)), patience);
    const read = (): void => {
      for (let chunk: unknown = socket.read(); Buffer.isBuffer(chunk); chunk = socket.read()) {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\r\n\r\n');
        if (end >= 0) {
          const [, status] = /^HTTP\/1\.[01] (\d{3})/.exec(head.toString('latin1')) ?? [];
          const rest = head.subarray(end + 4);
          done(() =>
            status === undefined ? reject(new Error('it does not answer in HTTP')) : resolve(Number(status)),
          );
          if (rest.length > 0) socket.unshift(rest);
          return;
        }
        if (head.length > LONGEST_HEAD) {
          fail(new Error('the head of its answer does not end'));
          return;
        }
      }
    };
    socket.on('readable', read).once('error', fail).once('close', closed).once('end', closed);
  });
}
