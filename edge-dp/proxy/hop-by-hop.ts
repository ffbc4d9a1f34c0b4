import { type HeaderFields, listed } from '../http/fields.ts';
import { isImpostor } from './impostor.ts';

/**
 * Removes headers that belong to one connection (RFC 9110 section 7.6.1) or that a client must not be able to hand on: `Proxy`
 * (httpoxy), and impostors. `names`: of all that are there, in lower case.
 */
export function stripRequestHeaders(headers: HeaderFields, names: readonly string[], trusted: boolean): void {
  const te = headers.get('te');
  removeConnectionHeaders(headers);
  for (const name of names) {
    if (REQUEST_HOP_BY_HOP.has(name) || isImpostor(name, trusted)) headers.delete(name);
  }
  keepTrailers(headers, te);
}

/**
 * The part of it that comes before plugins: impostors, and what Connection names, so that no client can have removed what a
 * plugin will say of it. `names`: of all the client sent.
 */
export function admitToPlugins(headers: HeaderFields, names: readonly string[], trusted: boolean): void {
  removeConnectionHeaders(headers);
  for (const name of names) if (isImpostor(name, trusted)) headers.delete(name);
}

/**
 * The part of it that comes after them: they see what belongs to the connection, as Kong's do. `te`: the client's own, since
 * whether it wants trailers is not theirs to say.
 */
export function stripAfterPlugins(headers: HeaderFields, te: string | null): void {
  for (const name of REQUEST_HOP_BY_HOP) headers.delete(name);
  keepTrailers(headers, te);
}

function removeConnectionHeaders(headers: HeaderFields): void {
  const connection = headers.get('connection');
  if (connection !== null) removeNamed(headers, connection);
}

function keepTrailers(headers: HeaderFields, te: string | null): void {
  if (te !== null && listed(te, 'trailers')) headers.set('TE', 'trailers');
}

/** What Kong drops on the way back; workerd itself never forwards Connection, Keep-Alive and Transfer-Encoding. */
export function stripResponseHeaders(
  headers: HeaderFields,
  request: { readonly upgrade: string | null; readonly te: boolean },
): void {
  const connection = headers.get('connection');
  if (connection !== null) removeNamed(headers, connection);
  for (const name of RESPONSE_HOP_BY_HOP) headers.delete(name);
  const upgrade = headers.get('upgrade');
  if (upgrade !== null && upgrade.toLowerCase() !== request.upgrade) headers.delete('upgrade');
  if (!request.te) headers.delete('trailer');
}

const REQUEST_HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // workerd would take the upstream's 100 for the final answer.
  'expect',
]);
const RESPONSE_HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding'];

/** Naming these in Connection removes nothing: they are about the connection itself, or frame the message. */
const NOT_REMOVABLE = new Set([
  '',
  'close',
  'keep-alive',
  'upgrade',
  'te',
  'host',
  'content-length',
  'transfer-encoding',
]);

function removeNamed(headers: HeaderFields, connection: string): void {
  if (NOT_REMOVABLE.has(connection)) return;
  for (const item of connection.split(',')) {
    const name = item.trim().toLowerCase();
    if (!NOT_REMOVABLE.has(name) && TOKEN.test(name)) headers.delete(name);
  }
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
