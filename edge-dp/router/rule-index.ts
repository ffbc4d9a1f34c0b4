import { printIp } from '../../shared/atc/ip.ts';
import { reportFailure } from './failure.ts';
import { type FieldReader, fieldReader } from './field.ts';
import type { HostKey, IndexKey, ValueKey } from './index-key.ts';
import type { Test } from './predicate.ts';
import { compareRanks } from './priority.ts';
import type { Subject } from './request.ts';
import type { Rule } from './rule.ts';
import { type RuleList, withoutRule, withRule } from './rule-list.ts';
import { type Edit, get, prefixesOf, set, type Trie } from './trie.ts';

/**
 * Rules filed by host, then by path prefix, then by one more value. A request walks down the few branches it has the
 * keys for, so a lookup costs what the request's own length costs, not what the number of rules does.
 */
export interface RuleIndex {
  readonly exact: Trie<PathIndex> | null;
  readonly prefix: Trie<PathIndex> | null;
  /** Keys are written backwards. */
  readonly suffix: Trie<PathIndex> | null;
  readonly any: PathIndex | null;
}

type PathIndex = Trie<Shelf>;

/** The rules of one host and one path prefix. */
interface Shelf {
  readonly rules: RuleList | null;
  readonly values: readonly ValueIndex[];
}

/** Rules that ask one field for one value. */
interface ValueIndex {
  readonly field: string;
  readonly lower: boolean;
  readonly read: (subject: Subject) => readonly string[];
  readonly rules: Trie<RuleList>;
}

/** The index of no rules. */
export const EMPTY_INDEX: RuleIndex = { exact: null, prefix: null, suffix: null, any: null };

const EMPTY_SHELF: Shelf = { rules: null, values: [] };

/** The index with the rule under all its keys. */
export function addRule(index: RuleIndex, rule: Rule, edit: Edit): RuleIndex {
  return rule.keys.reduce((next, key) => editList(next, key, (list) => withRule(list, rule, edit), edit), index);
}

/** The index without the rule. */
export function removeRule(index: RuleIndex, rule: Rule, edit: Edit): RuleIndex {
  return rule.keys.reduce((next, key) => editList(next, key, (list) => withoutRule(list, rule, edit), edit), index);
}

/** The first rule, by rank, that the request satisfies; `except`: those that failed on this request. */
export function findRule(index: RuleIndex, subject: Subject, except: ReadonlySet<Rule> | null = null): Rule | null {
  const search = new Search(subject, except);
  if (index.exact || index.prefix || index.suffix) searchHosts(index, subject.host, search);
  if (index.any) search.paths(index.any);
  return search.best;
}

function searchHosts({ exact, prefix, suffix }: RuleIndex, host: string | null, search: Search): void {
  if (host === null) return;
  const own = get(exact, host);
  if (own) search.paths(own);
  if (!prefix && !suffix) return;
  const found: PathIndex[] = [];
  prefixesOf(suffix, suffix ? backwards(host) : '', found);
  prefixesOf(prefix, host, found);
  for (const paths of found) search.paths(paths);
}

class Search {
  best: Rule | null = null;
  readonly #subject: Subject;
  readonly #except: ReadonlySet<Rule> | null;

  constructor(subject: Subject, except: ReadonlySet<Rule> | null) {
    this.#subject = subject;
    this.#except = except;
  }

  paths(paths: PathIndex): void {
    const shelves: Shelf[] = [];
    prefixesOf(paths, this.#subject.path, shelves);
    // Longer prefixes come first in rank among equals: found early, they spare the others a test.
    for (let i = shelves.length - 1; i >= 0; i--) {
      const shelf = shelves[i];
      if (shelf) this.#shelf(shelf);
    }
  }

  #shelf({ rules, values }: Shelf): void {
    if (rules) this.#list(rules);
    for (const { read, rules: byValue } of values) {
      for (const value of read(this.#subject)) {
        const list = get(byValue, value);
        if (list) this.#list(list);
      }
    }
  }

  #list({ rules }: RuleList): void {
    for (const rule of rules) {
      if (this.best && compareRanks(rule.rank, this.best.rank) <= 0) return;
      if (this.#except?.has(rule)) continue;
      if (rule.test === null || holds(rule, rule.test, this.#subject)) {
        this.best = rule;
        return;
      }
    }
  }
}

/** A matcher that throws concerns its own rule alone: the others go on. */
function holds(rule: Rule, test: Test, subject: Subject): boolean {
  try {
    return test(subject);
  } catch (error) {
    reportFailure(rule, error);
    return false;
  }
}

type ListEdit = (list: RuleList | null) => RuleList | null;

function editList(index: RuleIndex, key: IndexKey, change: ListEdit, edit: Edit): RuleIndex {
  const { host } = key;
  if (!host) return { ...index, any: editPaths(index.any, key, change, edit) };
  const at = host.kind === 'suffix' ? backwards(host.text) : host.text;
  const tree = index[host.kind];
  return {
    ...index,
    [host.kind satisfies HostKey['kind']]: set(tree, at, editPaths(get(tree, at), key, change, edit), edit),
  };
}

function editPaths(paths: PathIndex | null, { path, value }: IndexKey, change: ListEdit, edit: Edit): PathIndex | null {
  const { rules, values } = get(paths, path) ?? EMPTY_SHELF;
  const changed: Shelf = value
    ? { rules, values: editValues(values, value, change, edit) }
    : { rules: change(rules), values };
  return set(paths, path, changed.rules || changed.values.length > 0 ? changed : null, edit);
}

function editValues(
  indexes: readonly ValueIndex[],
  key: ValueKey,
  change: ListEdit,
  edit: Edit,
): readonly ValueIndex[] {
  const own = indexes.find(({ field, lower }) => field === key.field && lower === key.lower);
  const others = indexes.filter((index) => index !== own);
  const rules = set(own?.rules ?? null, key.text, change(own ? get(own.rules, key.text) : null), edit);
  if (!rules) return others;
  return [...others, own ? { ...own, rules } : { field: key.field, lower: key.lower, read: valuesReader(key), rules }];
}

const NONE: readonly string[] = [];

/** The values of a field as they are written in keys. */
function valuesReader({ field, lower }: ValueKey): (subject: Subject) => readonly string[] {
  const read = writtenValues(fieldReader(field));
  return lower ? (subject) => read(subject).map((value) => value.toLowerCase()) : read;
}

function writtenValues(reader: FieldReader | null): (subject: Subject) => readonly string[] {
  switch (reader?.kind) {
    case 'texts':
      return (subject) => reader.read(subject) ?? NONE;
    case 'text':
      return (subject) => only(reader.read(subject));
    case 'int':
      return (subject) => only(reader.read(subject)?.toString() ?? null);
    case 'ip':
      return (subject) => {
        const address = reader.read(subject);
        return address ? [printIp(address)] : NONE;
      };
    default:
      return () => NONE;
  }
}

function only(value: string | null): readonly string[] {
  return value === null ? NONE : [value];
}

function backwards(text: string): string {
  let reversed = '';
  for (let i = text.length - 1; i >= 0; i--) reversed += text[i];
  return reversed;
}
