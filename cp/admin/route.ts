import type { LuaPlugins } from '../store/lua-plugins.ts';
import type { Workspace } from '../store/store.ts';
import type { OperationDescription } from './openapi/description.ts';
import type { Reply } from './reply.ts';
import type { Body, BodyRules } from './request/body.ts';
import type { Query } from './request/query.ts';

export const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type Method = (typeof METHODS)[number];

/** One path of the Admin API with what each method does. Parameters are written `{name}`. */
export interface AdminRoute {
  readonly path: string;
  readonly methods: Readonly<Partial<Record<Method, Operation>>>;
  /** Bodies beyond the entity limit, and YAML ones. */
  readonly body?: BodyRules;
  /** Served with Kong's 404 whatever the method, and left out of `/endpoints` and OpenAPI. */
  readonly disabled?: boolean;
}

/** What one method of a path does, and how OpenAPI describes it. */
export interface Operation {
  readonly describe: OperationDescription;
  handle(call: Call): Promise<Reply> | Reply;
}

/** A request after routing: everything parsed, nothing checked against a schema yet. */
export interface Call {
  readonly method: Method;
  /** Values of the path's parameters, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  /** A header of the request; undefined: it has none of that name. */
  readonly header: (name: string) => string | undefined;
  /** Aborted when the client has gone before its answer was written. */
  readonly signal: AbortSignal;
  readonly body: Body;
  readonly workspace: Workspace;
  readonly luaPlugins: LuaPlugins;
}

/** The value of a path parameter the route is known to have. */
export function param(call: Call, name: string): string {
  const value = call.params[name];
  if (value === undefined) throw new Error(`the route has no parameter {${name}}`);
  return value;
}

/** A route's operations with their methods. */
export function operationsOf({ methods }: AdminRoute): [Method, Operation][] {
  return METHODS.flatMap((method) => {
    const operation = methods[method];
    return operation === undefined ? [] : [[method, operation] satisfies [Method, Operation]];
  });
}

/** The same route with each operation replaced. */
export function mapOperations(route: AdminRoute, replace: (operation: Operation) => Operation): AdminRoute {
  const methods: Partial<Record<Method, Operation>> = {};
  for (const [method, operation] of operationsOf(route)) methods[method] = replace(operation);
  return { ...route, methods };
}

/** The same route with one of its operations replaced, if it has it. */
export function mapOperation(
  route: AdminRoute,
  method: Method,
  replace: (operation: Operation) => Operation,
): AdminRoute {
  const operation = route.methods[method];
  return operation === undefined ? route : { ...route, methods: { ...route.methods, [method]: replace(operation) } };
}

/**
 * Later tables override earlier ones method by method, so that a hand-written operation takes the place of a
 * generated one on the same path (whatever the parameters are called).
 */
export function mergeRoutes(...tables: readonly (readonly AdminRoute[])[]): AdminRoute[] {
  const merged = new Map<string, AdminRoute>();
  for (const route of tables.flat()) {
    const shape = shapeOf(route.path);
    const earlier = merged.get(shape);
    merged.set(
      shape,
      earlier === undefined || route.disabled === true
        ? route
        : { ...earlier, ...route, methods: { ...earlier.methods, ...route.methods } },
    );
  }
  return [...merged.values()].sort((a, b) => compareShapes(shapeOf(a.path), shapeOf(b.path)));
}

const shapeOf = (path: string): string => path.replace(/\{[^}]*\}/g, '{}');

/** Literal segments before parameters, so that the first route that matches is the most specific one. */
function compareShapes(a: string, b: string): number {
  const left = a.split('/');
  const right = b.split('/');
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const x = left[i];
    const y = right[i];
    if (x === y) continue;
    if (x === undefined) return -1;
    if (y === undefined) return 1;
    if (x === '{}') return 1;
    if (y === '{}') return -1;
    return x < y ? -1 : 1;
  }
  return 0;
}
