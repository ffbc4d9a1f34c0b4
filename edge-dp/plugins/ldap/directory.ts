import { concatBytes } from '../../../shared/bytes.ts';
import { ReadTimeout, withTimeout } from '../../http/read-timeout.ts';
import { type Address, type Connection, ServiceError, type Services, type TlsOptions } from '../runtime/services.ts';
import { BerError } from './ber.ts';
import { type Answer, isFarewell, type Result, readAnswer, simpleBind, startTls } from './messages.ts';

export interface DirectoryOptions {
  readonly address: Address;
  /** When TLS begins: at once (`ldaps`), on request (StartTLS, RFC 4511 section 4.14), or not at all. */
  readonly security: 'plain' | 'ldaps' | 'start_tls';
  readonly tls: TlsOptions;
  /** Milliseconds for the connection, and for each answer. */
  readonly timeout: number;
  /** Milliseconds a connection is kept for the next bind. */
  readonly keepalive: number;
}

/** Connections that were closed while they were kept, after which a new one is made. */
const MOST_STALE = 3;

/** An LDAP server that is asked whether a name and a password belong together. */
export class Directory {
  readonly #options: DirectoryOptions;
  readonly #connect: Services['connect'];
  readonly #pool: string;

  constructor(options: DirectoryOptions, connect: Services['connect']) {
    this.#options = options;
    this.#connect = connect;
    this.#pool = JSON.stringify(['ldap', options.security, options.tls]);
  }

  /**
   * What the server says to a simple bind. Throws `ServiceError` when it cannot be reached or does not speak LDAP. Connections are
   * used again: another bind takes the place of the one before (RFC 4511 section 4.2.1).
   */
  async bind(name: string, password: Uint8Array): Promise<Result> {
    for (let stale = 0; ; stale++) {
      const connection = await this.#open(stale < MOST_STALE);
      try {
        const result = await this.#ask(connection, 'bind', (id) => simpleBind(id, name, password));
        await connection.keep(this.#options.keepalive);
        return result;
      } catch (error) {
        await connection.close();
        if (!(error instanceof Closed && connection.reused)) throw error;
      }
    }
  }

  async #open(mayBeKept: boolean): Promise<Connection> {
    const { address, security, tls, timeout } = this.#options;
    const connection = await this.#connect(address, {
      tls: security === 'ldaps' ? tls : null,
      timeout,
      ...(mayBeKept && { pool: this.#pool }),
    });
    if (security !== 'start_tls' || connection.reused) return connection;
    try {
      const { code, message } = await this.#ask(connection, 'extended', startTls);
      if (code !== 0) throw this.#error('tls', `refuses StartTLS: ${code} ${message}`);
      return await connection.startTls(tls);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Sends one request and waits for the answer to it. */
  async #ask(connection: Connection, kind: Answer['kind'], request: (id: number) => Uint8Array): Promise<Result> {
    const reader = connection.readable.getReader();
    const writer = connection.writable.getWriter();
    try {
      // Written while it is read: a server that has closed may be noticed by either.
      const written = writer.write(request(REQUEST));
      written.catch(() => undefined);
      const answer = await withTimeout(this.#receive(reader), this.#options.timeout);
      if (isFarewell(answer)) throw new Closed(this.#words(`closes: ${answer.result.code} ${answer.result.message}`));
      if (answer.id !== REQUEST || answer.kind !== kind) throw this.#error('protocol', 'answers something else');
      reader.releaseLock();
      writer.releaseLock();
      return answer.result;
    } catch (error) {
      if (error instanceof ReadTimeout) throw this.#error('timeout', `no answer in ${this.#options.timeout} ms`);
      if (error instanceof BerError) throw this.#error('protocol', `sends ${error.message}`);
      if (error instanceof ServiceError) throw error;
      throw new Closed(this.#words('broke off'));
    }
  }

  async #receive(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Answer> {
    let received: Uint8Array = new Uint8Array();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Closed(this.#words('closed the connection without an answer'));
      received = concatBytes([received, value]);
      const answer = readAnswer(received);
      if (answer === null) continue;
      if (answer.size < received.byteLength && !isFarewell(answer)) throw new BerError('more than the answer');
      return answer;
    }
  }

  #error(code: ServiceError['code'], what: string): ServiceError {
    return new ServiceError(code, this.#words(what));
  }

  #words(what: string): string {
    const { host, port } = this.#options.address;
    return `LDAP server ${host}:${port} ${what}`;
  }
}

/** Requests follow each other: one number is enough. */
const REQUEST = 1;

/** The connection ended; if it was an old one, a new one may do. */
class Closed extends ServiceError {
  constructor(message: string) {
    super('unreachable', message);
  }
}
