import { type Context, Hono } from 'hono';
import { isRecord } from '../../shared/record.ts';
import { KongError } from '../../shared/schema/errors.ts';
import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import type { Arrival } from '../listeners/browser-guard.ts';
import { type Author, writingAs } from '../store/author.ts';
import { RowChanged } from '../store/row-tag.ts';
import type { Workspace } from '../store/store.ts';
import { DatabaseUnavailable } from '../store/unavailable.ts';
import { allowedMethods, kongHeaders, preflight } from './conventions.ts';
import type { AdminLog, AdminOptions } from './options.ts';
import { message, methodNotAllowed, notFound, Refusal, type Reply, unexpected } from './reply.ts';
import { ENTITY_BODY_LIMIT, NO_BODY, readBody } from './request/body.ts';
import {
  hasDotSegment,
  hasUnusableBytes,
  rawPath,
  splitWorkspace,
  type WorkspacePath,
  withoutTrailingSlash,
} from './request/path.ts';
import { parseQuery } from './request/query.ts';
import { type AdminRoute, type Call, METHODS, type Method } from './route.ts';
import { adminRoutes, firstSegments } from './routes.ts';

/**
 * Kong's Admin API (https://docs.konghq.com/gateway/3.9.x/admin-api/) over a store, as a Hono app. Its routes come
 * from the entity schemas and the tables of hand-written ones; it holds no state of its own.
 */
export function createAdminApi(options: AdminOptions): Hono<{ Bindings: Arrival }> {
  const routes = adminRoutes(options);
  const ownSegments = firstSegments(routes);

  const split = (request: Request, arrival: Arrival | undefined): WorkspacePath =>
    splitWorkspace(pathOf(request, arrival), ownSegments);

  const app = new Hono<{ Bindings: Arrival }>({
    getPath: (request, given) => split(request, given?.env).path,
  });
  app.use(kongHeaders(options.browsers));
  app.use(refuseUnusableBytes);
  app.use(refuseDotSegments);
  for (const route of routes) {
    app.all(route.path.replace(/\{([^}]*)\}/g, ':$1'), (c) => serve(c, route));
  }
  app.notFound((c) => send(c, notFound));
  app.onError((error, c) => send(c, replyTo(error, c, options)));
  return app;

  async function serve(c: Context<{ Bindings: Arrival }>, route: AdminRoute): Promise<Response> {
    if (route.disabled === true) return send(c, notFound);
    const method = c.req.method === 'HEAD' ? 'GET' : c.req.method;
    if (method === 'OPTIONS') return preflight(c, Object.keys(route.methods));
    const operation = isMethod(method) ? route.methods[method] : undefined;
    if (operation === undefined || !isMethod(method)) return send(c, refused(route, method));
    const query = parseQuery(c.req.url);
    const body = takesBody(method)
      ? await readBody(c.req.raw, route.body ?? { limit: ENTITY_BODY_LIMIT, yaml: false })
      : NO_BODY;
    const { workspace: named } = split(c.req.raw, c.env);
    const workspace = await openWorkspace(named);
    const call: Call = {
      method,
      params: c.req.param(),
      query,
      header: (name) => c.req.header(name),
      // Asked for where it is wanted: the server makes it then.
      get signal() {
        return c.req.raw.signal;
      },
      body,
      workspace,
      luaPlugins: options.store.luaPlugins,
    };
    const reply = await (method === 'GET'
      ? operation.handle(call)
      : writingAs(authorOf(c), () => operation.handle(call)));
    return send(c, reply.status === 405 ? refused(route, method) : nextIn(named, reply));
  }

  /** Without a listener, as where the app is asked directly, nothing is known of the connection. */
  function authorOf(c: Context<{ Bindings: Arrival }>): Author {
    return options.authors.of({ remoteAddress: c.env?.remoteAddress, headers: c.req.raw.headers });
  }

  async function openWorkspace(name: string | null): Promise<Workspace> {
    const workspace = await options.store.workspace(name ?? DEFAULT_WORKSPACE.name);
    if (workspace === null) throw new Refusal(message(404, `Workspace '${name}' not found`));
    return workspace;
  }
}

const pathOf = (request: Request, arrival: Arrival | undefined): string =>
  withoutTrailingSlash(rawPath(arrival?.target ?? request.url));

/** The next page of a list is in the workspace the list was asked for in: elsewhere there are other rows behind its path. */
function nextIn(workspace: string | null, reply: Reply): Reply {
  const { body } = reply;
  if (workspace === null || !isRecord(body) || !Array.isArray(body.data) || typeof body.next !== 'string') return reply;
  return { ...reply, body: { ...body, next: `/${encodeURIComponent(workspace)}${body.next}` } };
}

/** Decoded they would be replaced, and another row than the one that is meant read, made or deleted. */
async function refuseUnusableBytes(c: Context<{ Bindings: Arrival }>, next: () => Promise<void>): Promise<void> {
  if (!hasUnusableBytes(pathOf(c.req.raw, c.env))) return next();
  c.res = send(c, message(400, 'the path holds bytes that are no UTF-8, or U+0000: no name has them'));
}

/** A row with such a name can be read by it, since reading leads nowhere else; for all else there is its id. */
async function refuseDotSegments(c: Context<{ Bindings: Arrival }>, next: () => Promise<void>): Promise<void> {
  const reads = c.req.method === 'GET' || c.req.method === 'HEAD';
  if (!hasDotSegment(pathOf(c.req.raw, c.env), !reads)) return next();
  c.res = send(c, message(400, "the path has a segment '.' or '..': to address a row of that name, use its id"));
}

/** 405 with the methods that are taken (RFC 9110, 15.5.6). */
const refused = ({ methods }: AdminRoute, method: string): Reply => ({
  ...methodNotAllowed,
  headers: { Allow: allowedMethods(Object.keys(methods).filter((one) => one !== method)) },
});

const isMethod = (method: string): method is Method => METHODS.some((known) => known === method);

const takesBody = (method: string): boolean => method === 'POST' || method === 'PUT' || method === 'PATCH';

function replyTo(error: Error, c: Context, { log, settings }: AdminOptions): Reply {
  if (error instanceof Refusal) return error.reply;
  if (error instanceof KongError && error.status < 500) {
    // Rows that cannot be written can be read.
    const isReadOnly = error.status === 405 && settings.database === 'off';
    const headers = isReadOnly ? { Allow: allowedMethods(['GET']) } : {};
    return { status: error.status, body: error.body(), headers };
  }
  if (error instanceof RowChanged) return message(412, error.message);
  if (error instanceof DatabaseUnavailable) return withoutDatabase(error, c, log);
  log('error', `${c.req.method} ${c.req.path}: ${reasonOf(error)}`);
  return unexpected;
}

/** Seconds a failover, or a restart of the database, is likely to go on. */
const RETRY_AFTER = '5';

function withoutDatabase({ message: reason, uncertain }: DatabaseUnavailable, c: Context, log: AdminLog): Reply {
  const writes = takesBody(c.req.method) || c.req.method === 'DELETE';
  const text = uncertain && writes ? `${reason}; the change may have been made all the same` : reason;
  log('error', `${c.req.method} ${c.req.path}: ${text}`);
  return { ...message(503, text), headers: { 'retry-after': RETRY_AFTER } };
}

function reasonOf(error: Error): string {
  // What the system or the database refused (a full disk, a server that is down) says all in its message.
  if ('code' in error && typeof error.code === 'string') return error.message === '' ? error.code : error.message;
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${error.stack ?? error.message}${cause}`;
}

function send(c: Context, { status, body, headers, stream }: Reply): Response {
  if (stream !== undefined) {
    if (c.req.method !== 'HEAD') return new Response(stream, { status, headers: { ...headers } });
    void stream.cancel();
    return new Response(null, { status, headers: { ...headers } });
  }
  if (status === 204 || status === 304) return new Response(null, { status, headers: { ...headers } });
  if (body === undefined) return new Response(null, { status, headers: { 'content-length': '0', ...headers } });
  const contentType = headers?.['content-type'];
  const text = typeof body === 'string' && contentType !== undefined ? body : JSON.stringify(body);
  return new Response(c.req.method === 'HEAD' ? null : text, {
    status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(Buffer.byteLength(text)),
      ...headers,
    },
  });
}
