import type { Expression } from '../../shared/atc/ast.ts';
import { printExpression } from '../../shared/atc/print.ts';
import { compileTest } from './predicate.ts';
import { compareRanks } from './priority.ts';
import type { Subject } from './request.ts';
import type { RouteRow } from './route-row.ts';
import type { Rule } from './rule.ts';

/** Why a request goes where it goes. */
export interface Explanation {
  readonly winner: ExplainedRule | null;
  /** In order of precedence: every route of which some condition holds, and every one that comes after the winner. */
  readonly losers: readonly (ExplainedRule & { readonly reason: LossReason })[];
  /** How many more losers there are than are listed. */
  readonly omitted: number;
}

interface ExplainedRule {
  readonly route: RouteRow;
  /** The conditions as an expression; empty: none. */
  readonly expression: string;
  /** Kong's 64-bit priority in decimal, or the parts of a traditional rank. */
  readonly priority: string;
}

type LossReason =
  | { readonly kind: 'condition'; readonly condition: string }
  | { readonly kind: 'priority'; readonly message: string };

const MAX_LOSERS = 100;

/** Explains a decision over all rules of a router. */
export function explain(rules: readonly Rule[], winner: Rule | null, subject: Subject): Explanation {
  const losers: (ExplainedRule & { reason: LossReason })[] = [];
  let omitted = 0;
  for (const rule of [...rules].sort((a, b) => compareRanks(b.rank, a.rank))) {
    if (rule === winner) continue;
    const reason = lossOf(rule, winner, subject);
    if (!reason) continue;
    if (losers.length < MAX_LOSERS) losers.push({ ...explained(rule), reason });
    else omitted++;
  }
  return { winner: winner && explained(winner), losers, omitted };
}

/** Null for a rule that has nothing in common with the request. */
function lossOf({ conditions, rank }: Rule, winner: Rule | null, subject: Subject): LossReason | null {
  const failed = conditions.find((condition) => !holds(condition, subject));
  if (failed) {
    const near = conditions.some((condition) => condition !== failed && holds(condition, subject));
    return near ? { kind: 'condition', condition: printExpression(failed) } : null;
  }
  const equal = winner && rank.numbers.every((number, i) => number === winner.rank.numbers[i]);
  return { kind: 'priority', message: equal ? 'equal priority, smaller id' : 'lower priority' };
}

function holds(condition: Expression, subject: Subject): boolean {
  try {
    return compileTest(condition, new Map())(subject);
  } catch {
    return false;
  }
}

function explained({ route, conditions, rank }: Rule): ExplainedRule {
  return { route, expression: printExpression({ kind: 'all', terms: conditions }), priority: printRank(rank.numbers) };
}

function printRank(numbers: readonly number[]): string {
  const [high = 0, low = 0] = numbers;
  return numbers.length === 2 ? String((BigInt(high) << 32n) | BigInt(low)) : numbers.join('.');
}
