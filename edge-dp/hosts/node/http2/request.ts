import { randomBytes } from 'node:crypto';
import type { ServerHttp2Stream } from 'node:http2';
import { FieldList } from '../../../http/fields.ts';
import type { Asking } from '../../../proxy/errors.ts';
import { ClientBody } from '../http/client-body.ts';
import { type Refusal, TOO_LARGE } from '../http/refuse.ts';
import { NodeRequest, repeatsAuthorization } from '../http/request.ts';
import { targetOf } from '../http/wire-fields.ts';

/** Bytes of all fields, of method and target, and how many fields there may be. */
export interface HeadLimits {
  readonly head: number;
  readonly line: number;
  readonly fields: number;
}

/** What a stream begins: a request, or something that is not served. */
export type Begun =
  | {
      readonly request: NodeRequest;
      /** An extended CONNECT (RFC 8441): for the gateway a handshake as HTTP/1.1 has it; null: none. */
      readonly websocket: WebSocketKey | null;
    }
  | (Refusal & { readonly asked: Asking });

/** The challenge an upstream has to answer, since the client of HTTP/2 sends none. */
export type WebSocketKey = string;

/**
 * Reads a header block, names and values in turn, that nghttp2 let through: what RFC 9113 section 8 calls malformed (fields of a
 * connection, upper case, missing or repeated pseudo-fields) has ended its stream before.
 */
export function http2Request(
  stream: ServerHttp2Stream,
  block: readonly string[],
  { bodyless, limits }: { readonly bodyless: boolean; readonly limits: HeadLimits },
): Begun {
  const head = readBlock(block);
  const { method, path, authority, protocol, lines, hosts } = head;
  const fault = faultOf(head, limits);
  if (fault !== null) return { ...fault, asked: { headers: new FieldList(lines), version: '2' } };
  const target = targetOf(path);
  lines.unshift('host', authority === '' ? (hosts[0] ?? '') : authority);
  if (method === 'CONNECT') {
    const websocket = randomBytes(16).toString('base64');
    lines.push('connection', 'Upgrade', 'upgrade', protocol, 'sec-websocket-key', websocket);
    return { request: new NodeRequest({ method: 'GET', target, version: '2', lines, body: null }), websocket };
  }
  let trailers: readonly string[] = [];
  let body: ClientBody | null = null;
  if (!bodyless) {
    stream.once('trailers', (_headers, _flags, raw: readonly string[] = []) => {
      trailers = raw;
    });
    const waits = lines.some((name, at) => at % 2 === 0 && name === 'expect' && isContinue(lines[at + 1]));
    const trailer = lines.findIndex((name, at) => at % 2 === 0 && name === 'trailer');
    const announced = trailer < 0 ? null : (lines[trailer + 1] ?? null);
    body = new ClientBody(stream, waits ? () => sayContinue(stream) : null, () => trailers, announced);
  }
  return { request: new NodeRequest({ method, target, version: '2', lines, body }), websocket: null };
}

interface Head {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly protocol: string;
  readonly hosts: readonly string[];
  readonly lines: string[];
  readonly size: number;
}

/** Why a request that nghttp2 let through is refused here; null: it is not. */
function faultOf({ method, path, authority, protocol, lines, hosts, size }: Head, limits: HeadLimits): Refusal | null {
  if (method.length + path.length > limits.line) return { status: 414 };
  if (size > limits.head || lines.length > limits.fields * 2) return TOO_LARGE;
  const [host = authority] = hosts;
  // Section 8.3.1: one of them, or both saying the same.
  if (hosts.length > 1 || host === '' || (authority !== '' && host.toLowerCase() !== authority.toLowerCase()))
    return { status: 400 };
  if (!path.startsWith('/') || repeatsAuthorization(lines)) return { status: 400 };
  // A kind of tunnel that this gateway has no idea of.
  if (method === 'CONNECT' && protocol !== 'websocket') return { status: protocol === '' ? 400 : 501 };
  return null;
}

function readBlock(block: readonly string[]): Head {
  const pseudo = { ':method': '', ':path': '', ':authority': '', ':protocol': '', ':scheme': '' };
  const lines: string[] = [];
  const hosts: string[] = [];
  let cookie = -1;
  let size = 0;
  for (let at = 0; at + 1 < block.length; at += 2) {
    const name = block[at] ?? '';
    const value = block[at + 1] ?? '';
    size += name.length + value.length;
    if (isPseudo(name, pseudo)) pseudo[name] = value;
    else if (name === 'host') hosts.push(value);
    else if (name === 'cookie' && cookie >= 0) {
      // Section 8.2.3: clients may send each crumb as a field of its own.
      lines[cookie] += `; ${value}`;
    } else {
      if (name === 'cookie') cookie = lines.length + 1;
      lines.push(name, value);
    }
  }
  return {
    method: pseudo[':method'],
    path: pseudo[':path'],
    authority: pseudo[':authority'],
    protocol: pseudo[':protocol'],
    hosts,
    lines,
    size,
  };
}

function isPseudo<Known extends object>(name: string, known: Known): name is Extract<keyof Known, string> {
  return name.startsWith(':') && name in known;
}

function isContinue(value: string | undefined): boolean {
  return value?.toLowerCase() === '100-continue';
}

function sayContinue(stream: ServerHttp2Stream): void {
  if (!stream.destroyed && !stream.headersSent) stream.additionalHeaders({ ':status': 100 });
}
