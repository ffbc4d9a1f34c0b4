import type { Expression, Predicate } from '../../shared/atc/ast.ts';
import { parseChecked, predicates } from '../../shared/atc/check.ts';
import { ExpressionError } from '../../shared/atc/error.ts';
import type { LinearRegex } from '../../shared/atc/regex.ts';
import { messageOf } from '../../shared/thrown.ts';
import { uuid5 } from '../../shared/uuid5.ts';
import { ConfigError } from '../config/config-error.ts';
import { Capturing, capture } from './capture.ts';
import { classicConditions, type Dialect } from './classic-route.ts';
import { splitHost } from './host.ts';
import { type IndexKey, planIndex } from './index-key.ts';
import { compileTest, conjunction, InvalidRegex, type Regexes, type Test } from './predicate.ts';
import { byteLength, classicRank, expressionPriority, type Rank, rankOf, traditionalRank } from './priority.ts';
import { type RouterRequest, Subject } from './request.ts';
import type { RouteRow, RouterFlavor } from './route-row.ts';

/** A route, or the part of it that has one priority, ready to be matched. */
export interface Rule {
  readonly route: RouteRow;
  readonly rank: Rank;
  /** All of them must hold. */
  readonly conditions: readonly Expression[];
  readonly regexes: Regexes;
  readonly keys: readonly IndexKey[];
  /** What a request found under one of the keys may still fail; null: nothing. */
  readonly test: Test | null;
  /** Those that leave captures or say which prefix matched, where that is not known beforehand. */
  readonly capturing: readonly Expression[];
  /** Length of the matched prefix where that is known beforehand; null: `capture` finds out. */
  readonly prefixLength: number | null;
}

/** Kong's namespace for the parts of a route whose paths differ in kind or length. */
const PARTS = '7f145bf9-0dce-4f91-98eb-debbce4b9f6b';
/** The port the client connected to, unless it named one. */
const CONNECTED = { plain: 'net.dst.port', wildcard: 'net.dst.port' } as const;
const COMPATIBLE: Dialect = { protocols: false, loweredPatterns: true, portFields: CONNECTED };
const IN_EXPRESSIONS: Dialect = { ...COMPATIBLE, protocols: true };
const STREAM = new Set(['tcp', 'udp', 'tls', 'tls_passthrough']);

/**
 * The rules of a route; none for routes of raw streams, which no HTTP request matches.
 * Throws `ConfigError` naming the route when an expression or a regex is not valid.
 */
export function compileRoute(route: RouteRow, flavor: RouterFlavor): Rule[] {
  if (STREAM.has(route.protocols?.[0] ?? '')) return [];
  return tellingTheRoute(route, () => rulesOf(route, flavor));
}

/** The rules that are made, each run once. What goes wrong is thrown as a `ConfigError` that names the route. */
export function tellingTheRoute(route: RouteRow, make: () => Rule[]): Rule[] {
  try {
    const rules = make();
    for (const rule of rules) runOnce(rule);
    return rules;
  } catch (error) {
    const name = route.name ? `${route.id} ("${route.name}")` : route.id;
    throw new ConfigError(`route ${name}: ${problemOf(error)}`);
  }
}

function rulesOf(route: RouteRow, flavor: RouterFlavor): Rule[] {
  if (flavor === 'traditional') return traditionalRules(route);
  const dialect = flavor === 'expressions' ? IN_EXPRESSIONS : COMPATIBLE;
  if (flavor === 'expressions' && route.expression) return [expressionRule(route, route.expression, dialect)];
  const rule = (id: string, paths: readonly string[]): Rule =>
    makeRule(route, classicRank(route, paths, id), classicConditions(route, paths, dialect), paths);
  const paths = route.paths ?? NO_PATHS;
  // Most routes are one part, and there are thousands.
  if (paths.length <= 1) return [rule(route.id.toLowerCase(), paths)];
  return partsOf(route).map((part) => rule(part.id, part.paths));
}

const NO_PATHS: readonly string[] = [];

function problemOf(error: unknown): string {
  if (error instanceof InvalidRegex) return `invalid regex: ${error.message}`;
  if (error instanceof ExpressionError) return `invalid expression:\n${error.message}`;
  return `its matcher does not run: ${messageOf(error).slice(-200)}`;
}

/** What fails late, at its first request, must fail now, while the config can still be refused. */
function runOnce({ test, capturing, regexes }: Rule): void {
  if (test === null && capturing.length === 0) return;
  const subject = new Subject(PROBE);
  test?.(subject);
  for (const condition of capturing) capture(condition, subject, regexes, new Capturing());
}

const PROBE: RouterRequest = {
  method: 'GET',
  host: 'localhost',
  scheme: 'http',
  sni: null,
  path: '/',
  query: '',
  header: () => null,
  sourceIp: null,
  sourcePort: null,
  destinationIp: null,
  destinationPort: null,
};

function expressionRule(route: RouteRow, source: string, dialect: Dialect): Rule {
  const expression = parseChecked(source, 'http');
  const own = expression.kind === 'all' ? expression.terms : [expression];
  const bare: RouteRow = { id: route.id, protocols: route.protocols };
  const conditions = [...own, ...classicConditions(bare, [], dialect)];
  return makeRule(route, rankOf(expressionPriority(route.priority ?? null), route.id.toLowerCase()), conditions, null);
}

/**
 * The traditional flavour counts what a request matched, not what a route has: on plain HTTP server names count for
 * nothing, and a host that names the port wins over one that does not.
 */
function traditionalRules(route: RouteRow): Rule[] {
  const dialect: Dialect = {
    protocols: false,
    loweredPatterns: false,
    portFields: { plain: 'http.host.own_port', wildcard: 'http.host.port' },
  };
  const hosts = route.hosts ?? [];
  const withPort = hosts.filter((host) => splitHost(host).port !== null);
  const variants: { row: RouteRow; hostPort: boolean }[] =
    withPort.length > 0 && withPort.length < hosts.length
      ? [
          { row: { ...route, hosts: withPort }, hostPort: true },
          { row: { ...route, hosts: hosts.filter((host) => !withPort.includes(host)) }, hostPort: false },
        ]
      : [{ row: route, hostPort: withPort.length > 0 }];
  const schemes = route.snis && route.snis.length > 0 ? [true, false] : [false];
  return variants.flatMap(({ row, hostPort }) =>
    partsOf(route).flatMap(({ paths }) =>
      schemes.map((sni) => {
        const wildcardHostPort = withPort.some((host) => host.includes('*'));
        const rank = traditionalRank(route, paths, { sni, hostPort, wildcardHostPort });
        const conditions = [...schemeConditions(schemes.length > 1, sni), ...classicConditions(row, paths, dialect)];
        const rule = makeRule(route, rank, conditions, paths);
        // Captures of header patterns are not kept in this flavour.
        return { ...rule, capturing: rule.capturing.filter(isOnPath) };
      }),
    ),
  );
}

function schemeConditions(matters: boolean, https: boolean): Predicate[] {
  if (!matters) return [];
  const operator = https ? '==' : '!=';
  const value = { type: 'String', text: 'https' } as const;
  return [{ kind: 'predicate', field: 'net.protocol', lower: false, any: false, operator, value, span: null }];
}

/** Paths grouped by what gives them one priority: all regexes, and prefixes of each length. */
function partsOf(route: RouteRow): { id: string; paths: readonly string[] }[] {
  const id = route.id.toLowerCase();
  const paths = route.paths ?? [];
  if (paths.length <= 1) return [{ id, paths }];
  const groups = new Map<number, string[]>();
  for (const path of paths) {
    const kind = path.startsWith('~') ? 0 : byteLength(path);
    const group = groups.get(kind);
    if (group) group.push(path);
    else groups.set(kind, [path]);
  }
  if (groups.size === 1) return [{ id, paths }];
  return [...groups.values()].map((group, i) => ({ id: uuid5(PARTS, `${route.id}#${i + 1}`), paths: group }));
}

/** `paths`: those that give the rule its one priority; null where an expression may match any. */
export function makeRule(
  route: RouteRow,
  rank: Rank,
  conditions: readonly Expression[],
  paths: readonly string[] | null,
): Rule {
  const { keys, remaining } = planIndex(conditions);
  const found = remaining.length === 0 ? null : new Map<Predicate, LinearRegex>();
  const test = found === null ? null : conjunction(remaining.map((condition) => compileTest(condition, found)));
  const regexes: Regexes = found === null || found.size === 0 ? NO_REGEXES : found;
  const first = paths?.[0];
  const plain = paths !== null && regexes.size === 0 && !first?.startsWith('~') && isOneLength(paths);
  return {
    route,
    rank,
    conditions,
    regexes,
    keys,
    test,
    capturing: plain ? NOTHING : conditions.filter((condition) => leavesTraces(condition, regexes)),
    prefixLength: plain ? (first?.length ?? 0) : null,
  };
}

const NO_REGEXES: Regexes = new Map();
const NOTHING: readonly Expression[] = [];

function isOnPath(condition: Expression): boolean {
  for (const { field } of predicates(condition)) if (field === 'http.path') return true;
  return false;
}

function leavesTraces(condition: Expression, regexes: Regexes): boolean {
  for (const predicate of predicates(condition)) if (regexes.has(predicate)) return true;
  return isOnPath(condition);
}

/** Prefixes of as many bytes may differ in characters. */
function isOneLength(paths: readonly string[]): boolean {
  return paths.length <= 1 || paths.every((path) => path.length === paths[0]?.length);
}
