import { PersistentMap } from '../config/persistent-map.ts';
import { type Captures, Capturing, capture, NO_CAPTURES } from './capture.ts';
import { type Explanation, explain } from './explain.ts';
import { reportFailure } from './failure.ts';
import { type RouterRequest, Subject } from './request.ts';
import type { RouteRow, RouterFlavor } from './route-row.ts';
import { compileRoute, type Rule } from './rule.ts';
import { addRule, EMPTY_INDEX, findRule, type RuleIndex, removeRule } from './rule-index.ts';
import { compileStreamRoute } from './stream-rule.ts';
import type { Edit } from './trie.ts';

/** Chooses the route of a request. Immutable. */
export interface Router {
  /**
   * The router after a change, at a cost that depends on the change alone. Throws `ConfigError` naming the route when
   * one does not compile; the receiver stays as it was.
   */
  update(changes: RouteChanges): Router;
  match(request: RouterRequest): RouteMatch | null;
  /** Who wins and why the others lose. Looks at every route: for debugging. */
  explain(request: RouterRequest): Explanation;
}

interface RouteChanges {
  readonly upserts: readonly RouteRow[];
  /** Ids; unknown ones are ignored. */
  readonly deletes: readonly string[];
}

interface RouteMatch {
  readonly route: RouteRow;
  /** What `strip_path` removes from the front of `path`; null: the route matched no path, its slash counts. */
  readonly matchedPrefix: string | null;
  readonly captures: Captures;
  /** The normalised request path. */
  readonly path: string;
}

/** What makes rules of a route. */
type CompileRoute = (route: RouteRow, flavor: RouterFlavor) => readonly Rule[];

/** A router without routes. */
export function createRouter(flavor: RouterFlavor): Router {
  return new IndexedRouter(flavor, compileRoute, EMPTY_INDEX, PersistentMap.empty());
}

/** The same for connections and datagrams: of a request it asks for nothing but addresses, protocol and server name. */
export function createStreamRouter(flavor: RouterFlavor): Router {
  return new IndexedRouter(flavor, compileStreamRoute, EMPTY_INDEX, PersistentMap.empty());
}

class IndexedRouter implements Router {
  readonly #flavor: RouterFlavor;
  readonly #compile: CompileRoute;
  readonly #index: RuleIndex;
  readonly #rulesById: PersistentMap<readonly Rule[]>;

  constructor(
    flavor: RouterFlavor,
    compile: CompileRoute,
    index: RuleIndex,
    rulesById: PersistentMap<readonly Rule[]>,
  ) {
    this.#flavor = flavor;
    this.#compile = compile;
    this.#index = index;
    this.#rulesById = rulesById;
  }

  update({ upserts, deletes }: RouteChanges): Router {
    const edit: Edit = Symbol('edit');
    let index = this.#index;
    let rulesById = this.#rulesById;
    // Compiled before anything is changed.
    const compiled = new Map<string, readonly Rule[]>();
    const without = new Set(deletes);
    for (const route of upserts) {
      const rules = this.#compile(route, this.#flavor);
      if (rules.length > 0) compiled.set(route.id, rules);
      else {
        compiled.delete(route.id);
        without.add(route.id);
      }
    }
    const remove = (id: string): void => {
      const before = rulesById.get(id);
      if (before !== undefined) index = before.reduce((next, rule) => removeRule(next, rule, edit), index);
    };
    for (const id of without) {
      remove(id);
      rulesById = rulesById.delete(id);
    }
    compiled.forEach((rules, id) => {
      remove(id);
      index = rules.reduce((next, rule) => addRule(next, rule, edit), index);
    });
    rulesById = rulesById.setAll(compiled);
    return new IndexedRouter(this.#flavor, this.#compile, index, rulesById);
  }

  match(request: RouterRequest): RouteMatch | null {
    const subject = new Subject(request);
    let failed: Set<Rule> | null = null;
    for (;;) {
      const rule = findRule(this.#index, subject, failed);
      if (rule === null) return null;
      try {
        return matchOf(rule, subject);
      } catch (error) {
        reportFailure(rule, error);
        failed = (failed ?? new Set()).add(rule);
      }
    }
  }

  explain(request: RouterRequest): Explanation {
    const subject = new Subject(request);
    const winner = findRule(this.#index, subject);
    return explain([...this.#rulesById.values()].flat(), winner, subject);
  }
}

function matchOf(rule: Rule, subject: Subject): RouteMatch {
  const { route, prefixLength, capturing, regexes } = rule;
  const { path } = subject;
  if (prefixLength !== null) {
    return {
      route,
      matchedPrefix: prefixLength === 0 ? null : path.slice(0, prefixLength),
      captures: NO_CAPTURES,
      path,
    };
  }
  const found = new Capturing();
  for (const condition of capturing) capture(condition, subject, regexes, found);
  return { route, matchedPrefix: found.path, captures: found.captures, path };
}
