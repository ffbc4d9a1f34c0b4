import { messageOf } from '../../../shared/thrown.ts';
import { ReadTimeout, withTimeout } from '../../http/read-timeout.ts';
import { ClientBodyError } from '../incoming-body.ts';
import { ByteReader, ProtocolError } from './byte-reader.ts';
import {
  BodyTooLarge,
  bracketed,
  clientFailure,
  type EgressWay,
  failed,
  type UpstreamFailure,
  type UpstreamRequest,
  type UpstreamResult,
} from './egress.ts';
import type { Network } from './network.ts';
import { readResponse } from './received-response.ts';

/**
 * HTTP/1.1 over the runtime's TCP sockets, one connection a request: for what fetch cannot say (another Host, a request
 * target that the URL standard would rewrite) where the host has no egress process.
 */
export function socketsEgress(network: Pick<Network, 'connect'>): EgressWay {
  return {
    name: 'sockets',
    cannot(request) {
      if (request.version === '2') return 'no HTTP/2 to upstreams';
      if (request.proxy !== undefined) return 'no HTTP proxies';
      if (request.websocket) return 'no WebSockets';
      if (request.scheme === 'http') return null;
      if (request.tls.certificate !== null) return 'no client certificates for upstreams';
      if (request.tls.trust === 'node') return 'no CAs of the node';
      if (request.tls.ca.length > 0) return 'no private CAs for upstreams';
      if (request.tls.verifyDepth !== null) return 'no tls_verify_depth';
      // The runtime checks a certificate against the name connected to; Kong, and so the config, against the Host.
      return request.tls.verify === true ? 'no verified TLS with a Host other than the address' : null;
    },
    async send(request) {
      if (UNSAFE.test(request.target) || UNSAFE.test(request.authority) || !METHOD.test(request.method))
        return failed('bad_request', false, 'control characters in the request');
      const secureTransport = request.scheme === 'https' ? 'on' : 'off';
      let socket: Socket;
      try {
        socket = network.connect(`${bracketed(request.host)}:${request.port}`, {
          secureTransport,
          allowHalfOpen: false,
        });
        socket.closed.catch(() => undefined);
        await withTimeout(socket.opened, request.timeouts.connect);
      } catch (error) {
        const code = error instanceof ReadTimeout ? 'connect_timeout' : 'connection_refused';
        return failed(code, false, messageOf(error));
      }
      return exchange(socket, request);
    },
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what must not get into a request line.
const UNSAFE = /[\x00-\x20\x7f]/;
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

async function exchange(socket: Socket, request: UpstreamRequest): Promise<UpstreamResult> {
  const reader = new ByteReader(socket.readable, request.timeouts.read);
  try {
    let broken: unknown = null;
    // An upstream may answer before it has read everything: the body goes on being written meanwhile.
    const written = writeRequest(socket.writable, request).catch((error: unknown) => {
      broken = error;
      // There will be no answer to half a request.
      if (error instanceof ClientBodyError) reader.cancel(error);
    });
    if (request.body.kind !== 'incoming') await written;
    const response = await readResponse(reader, request.method).catch((error: unknown) => {
      if (broken instanceof ClientBodyError) throw broken;
      throw broken instanceof ReadTimeout ? new WriteTimeout(broken.message) : error;
    });
    return { kind: 'response', response };
  } catch (error) {
    reader.cancel(error);
    void socket.close().catch(() => undefined);
    return failed(codeOf(error), true, messageOf(error));
  }
}

class WriteTimeout extends Error {
  override readonly name = 'WriteTimeout';
}

async function writeRequest(writable: WritableStream<Uint8Array>, request: UpstreamRequest): Promise<void> {
  const writer = writable.getWriter();
  const { body, timeouts } = request;
  const write = (bytes: Uint8Array): Promise<void> => withTimeout(writer.write(bytes), timeouts.write);
  await write(UTF8.encode(requestHead(request)));
  if (body.kind === 'bytes') {
    await write(body.bytes);
  } else if (body.kind === 'incoming') {
    const chunked = body.length === null;
    let passed = 0;
    const reader = body.source.stream().getReader();
    for (;;) {
      const { value, done } = await withTimeout(reader.read(), body.patience).catch((error: unknown) => {
        throw new ClientBodyError(messageOf(error), { cause: error });
      });
      if (done) break;
      passed += value.length;
      if (body.limit !== null && passed > body.limit.bytes) {
        const error = new BodyTooLarge(body.limit);
        reader.releaseLock();
        throw new ClientBodyError(error.message, { cause: error });
      }
      if (chunked) await write(UTF8.encode(`${value.length.toString(16)}\r\n`));
      await write(value);
      if (chunked) await write(CRLF);
    }
    if (chunked) await write(UTF8.encode('0\r\n\r\n'));
  }
  writer.releaseLock();
}

function requestHead({ method, target, authority, headers, body }: UpstreamRequest): string {
  let head = `${method} ${target} HTTP/1.1\r\nHost: ${authority}\r\n`;
  for (const [name, value] of headers) {
    if (name !== 'content-length' && name !== 'host' && name !== 'connection') head += `${name}: ${value}\r\n`;
  }
  if (body.kind === 'bytes') head += `content-length: ${body.bytes.length}\r\n`;
  if (body.kind === 'incoming')
    head += body.length === null ? 'transfer-encoding: chunked\r\n' : `content-length: ${body.length}\r\n`;
  if (body.kind === 'none' && !BODYLESS.has(method)) head += 'content-length: 0\r\n';
  return `${head}connection: close\r\n\r\n`;
}

/** Methods that say nothing about a body by having none. */
const BODYLESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']);
const UTF8 = new TextEncoder();
const CRLF = UTF8.encode('\r\n');

function codeOf(error: unknown): UpstreamFailure['code'] {
  if (error instanceof ClientBodyError) return clientFailure(error.cause);
  if (error instanceof ReadTimeout) return 'read_timeout';
  if (error instanceof WriteTimeout) return 'write_timeout';
  return error instanceof ProtocolError ? 'protocol' : 'closed';
}
