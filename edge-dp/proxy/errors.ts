import { recordOrEmpty } from '../../shared/record.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { FieldList } from '../http/fields.ts';
import { type IncomingRequest, OwnResponse } from '../http/messages.ts';

/** The representations Kong's error bodies come in. */
type ErrorFormat = 'json' | 'html' | 'plain' | 'xml' | 'grpc' | 'empty';

/** The text of a status when nothing more precise is known (`kong.response.error` without a message). */
export function defaultMessage(status: number): string {
  return MESSAGES[status] ?? `The upstream server responded with ${status}`;
}

/** What an error page goes by. */
export type Asking = Pick<IncomingRequest, 'headers' | 'version'>;

/** `kong.response.error`: as the type that is given, else by Accept, JSON when there is none. */
export function negotiate(request: Asking, given?: string): ErrorFormat {
  return given === undefined ? negotiated(request, null) : bestOf(given);
}

/** nginx's error pages, for what the proxy itself could not do: Accept, else Content-Type, else `error_default_type`. */
export function negotiatePage(request: Asking, errorDefaultType: string): ErrorFormat {
  return negotiated(request, request.headers.get('content-type') ?? errorDefaultType);
}

/** gRPC needs HTTP/2: over HTTP/1.1 its type in Content-Type is like any other, and Accept gets the status alone. */
function negotiated(request: Asking, otherwise: string | null): ErrorFormat {
  const { headers } = request;
  const http2 = overHttp2(request);
  if (isGrpc(request)) return 'grpc';
  const accept = headers.get('accept');
  if (accept === null) return otherwise === null ? 'json' : withoutGrpc(bestOf(otherwise), 'json');
  return http2 ? bestOf(accept) : withoutGrpc(bestOf(accept), 'empty');
}

function withoutGrpc(format: ErrorFormat, instead: ErrorFormat): ErrorFormat {
  return format === 'grpc' ? instead : format;
}

/** gRPC as clients speak it: over HTTP/1.1 its type is like any other. */
export function isGrpc(request: Asking): boolean {
  return overHttp2(request) && request.headers.get('content-type')?.startsWith(GRPC) === true;
}

export function overHttp2({ version }: { readonly version: string }): boolean {
  return version === '2' || version === '3';
}

/** nginx's error page for a request, with the status' usual text. */
export function errorPage(
  errorDefaultType: string,
  { id, incoming }: { readonly id: string; readonly incoming: Asking },
  status: number,
): OwnResponse {
  const format = negotiatePage(incoming, errorDefaultType);
  return errorResponse(format, { status, message: defaultMessage(status), requestId: id });
}

interface ErrorBody {
  readonly status: number;
  readonly message: string;
  readonly requestId: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer of the gateway itself, in Kong's exact templates. */
export function errorResponse(format: ErrorFormat, error: ErrorBody): OwnResponse {
  if (format === 'grpc') return grpcAnswer(error.status, error.message, error.headers);
  if (format === 'empty') return new OwnResponse(error.status, null, error.headers);
  const headers = FieldList.of(error.headers ?? {});
  headers.set('Content-Type', `${CONTENT_TYPES[format]}; charset=utf-8`);
  return new OwnResponse(error.status, TEMPLATES[format](error.message, error.requestId), headers);
}

const GRPC = 'application/grpc';

/** All of an answer in its head: gRPC's outcome, under the status that it would have had. */
function grpcAnswer(status: number, message: string, headers: Readonly<Record<string, string>> = {}): OwnResponse {
  const list = FieldList.of(headers);
  list.set('Content-Type', GRPC);
  list.set('Content-Length', '0');
  if (!list.has('grpc-status')) list.set('grpc-status', String(grpcStatus(status)));
  list.set('grpc-message', percentEncoded(message));
  return new OwnResponse(status, null, list);
}

/** As gRPC over HTTP/2 asks for: visible ASCII as it is, all else by its bytes. */
function percentEncoded(message: string): string {
  if (PLAIN_MESSAGE.test(message)) return message;
  let encoded = '';
  for (const byte of new TextEncoder().encode(message))
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return encoded;
}

const PLAIN_MESSAGE = /^[ -$&-~]*$/;

/** Adds what a gRPC answer with a body of its own says in its head, as far as it does not yet. */
export function completeGrpc({ status, headers }: OwnResponse): void {
  const said = headers.get('grpc-status');
  if (said === null) headers.set('grpc-status', String(grpcStatus(status)));
  if (said === null && !headers.has('grpc-message')) headers.set('grpc-message', GRPC_NAMES[grpcStatus(status)] ?? '');
}

/** `exitResponse` for a gRPC client, which reads an outcome and no body; where the answer names a type of its own, it is like any other. */
export function grpcExitResponse(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): OwnResponse {
  const type = Object.keys(headers).find((name) => name.toLowerCase() === 'content-type');
  if (type !== undefined) return exitResponse(status, body, headers);
  const said = typeof body === 'string' ? body : recordOrEmpty(body).message;
  return grpcAnswer(status, typeof said === 'string' ? said : (GRPC_NAMES[grpcStatus(status)] ?? ''), headers);
}

/** `kong.response.exit`: a table as compact JSON, without a request id; a text as it is, and no Content-Type but what is said. */
export function exitResponse(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): OwnResponse {
  if (body === null || body === undefined) return new OwnResponse(status, null, headers);
  // Bytes: to a text the runtime would give a type of its own.
  if (typeof body === 'string') return new OwnResponse(status, new TextEncoder().encode(body), headers);
  if (body instanceof Uint8Array) return new OwnResponse(status, new Uint8Array(body), headers);
  const list = FieldList.of(headers);
  if (!list.has('Content-Type')) list.set('Content-Type', 'application/json; charset=utf-8');
  return new OwnResponse(status, JSON.stringify(body), list);
}

/** The Server header of answers the gateway makes, and of upstreams that name none. */
export const SERVER = `kong/${KONG_VERSION}`;

const CONTENT_TYPES = {
  json: 'application/json',
  html: 'text/html',
  plain: 'text/plain',
  xml: 'application/xml',
} as const;

const TEMPLATES: Readonly<Record<keyof typeof CONTENT_TYPES, (message: string, requestId: string) => string>> = {
  json: (message, id) => `{\n  "message":${JSON.stringify(message)},\n  "request_id":"${id}"\n}`,
  plain: (message, id) => `${message}\nrequest_id: ${id}\n`,
  xml: (message, id) =>
    `<?xml version="1.0" encoding="UTF-8"?>\n<error>\n  <message>${escaped(message)}</message>\n  <requestid>${id}</requestid>\n</error>\n`,
  html: (message, id) =>
    `<!doctype html>\n<html>\n  <head>\n    <meta charset="utf-8">\n    <title>Error</title>\n  </head>\n  <body>\n    <h1>Error</h1>\n    <p>${escaped(message)}.</p>\n    <p>request_id: ${id}</p>\n  </body>\n</html>\n`,
};

/** A message may hold what a client sent: it must not become a part of the page. */
function escaped(message: string): string {
  return MARKUP.test(message) ? message.replace(/[&<>]/g, (character) => ENTITIES[character] ?? character) : message;
}

const MARKUP = /[&<>]/;
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

const FORMATS: Readonly<Record<string, ErrorFormat>> = {
  'application/json': 'json',
  'application/*': 'json',
  '*/*': 'json',
  'text/html': 'html',
  'text/plain': 'plain',
  'text/*': 'plain',
  'application/xml': 'xml',
  'application/grpc': 'grpc',
};

/** The type with the highest q; the first of equals. JSON for types no template is of. */
function bestOf(accept: string): ErrorFormat {
  let best: ErrorFormat = 'json';
  let bestQ = 0;
  for (const item of accept.split(',')) {
    const [type = '', ...parameters] = item.split(';');
    if (!type.includes('/')) continue;
    let q = 1;
    for (const parameter of parameters) {
      const match = /^\s*q\s*=\s*([\d.]+)\s*$/i.exec(parameter);
      if (match?.[1] !== undefined) q = Number(match[1]);
    }
    if (q > bestQ) {
      best = FORMATS[type.trim().toLowerCase()] ?? 'json';
      bestQ = q;
    }
  }
  return best;
}

function grpcStatus(status: number): number {
  const exact = GRPC_STATUS[status];
  if (exact !== undefined) return exact;
  if (status >= 200 && status < 300) return 0;
  if (status >= 400 && status < 500) return 3;
  return status >= 500 && status < 600 ? 13 : 2;
}

const GRPC_STATUS: Readonly<Record<number, number>> = {
  200: 0,
  400: 3,
  401: 16,
  403: 7,
  404: 5,
  409: 6,
  429: 8,
  499: 1,
  500: 13,
  501: 12,
  503: 14,
  504: 4,
};

/** The names of gRPC's outcomes that a status can come to. */
const GRPC_NAMES: Readonly<Record<number, string>> = {
  0: 'OK',
  1: 'Canceled',
  2: 'Unknown',
  3: 'InvalidArgument',
  4: 'DeadlineExceeded',
  5: 'NotFound',
  6: 'AlreadyExists',
  7: 'PermissionDenied',
  8: 'ResourceExhausted',
  12: 'Unimplemented',
  13: 'Internal',
  14: 'Unavailable',
  16: 'Unauthenticated',
};

const MESSAGES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Unauthorized',
  402: 'Payment required',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  406: 'Not acceptable',
  407: 'Proxy authentication required',
  408: 'Request timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length required',
  412: 'Precondition failed',
  413: 'Payload too large',
  414: 'URI too long',
  415: 'Unsupported media type',
  416: 'Range not satisfiable',
  417: 'Expectation failed',
  418: "I'm a teapot",
  421: 'Misdirected request',
  422: 'Unprocessable entity',
  423: 'Locked',
  424: 'Failed dependency',
  425: 'Too early',
  426: 'Upgrade required',
  428: 'Precondition required',
  429: 'Too many requests',
  431: 'Request header fields too large',
  451: 'Unavailable for legal reasons',
  494: 'Request header or cookie too large',
  500: 'An unexpected error occurred',
  501: 'Not implemented',
  502: 'An invalid response was received from the upstream server',
  503: 'The upstream server is currently unavailable',
  504: 'The upstream server is timing out',
  505: 'HTTP version not supported',
  506: 'Variant also negotiates',
  507: 'Insufficient storage',
  508: 'Loop detected',
  510: 'Not extended',
  511: 'Network authentication required',
};
