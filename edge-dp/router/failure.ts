import { messageOf } from '../../shared/thrown.ts';
import type { Rule } from './rule.ts';

const reported = new WeakSet<Rule>();

/** Tells the log, once for each rule, that its matcher threw: to this request the rule is not there. */
export function reportFailure(rule: Rule, error: unknown): void {
  if (reported.has(rule)) return;
  reported.add(rule);
  const { id, name } = rule.route;
  const route = name ? `${id} ("${name}")` : id;
  console.error(`route ${route} matches nothing while its matcher fails: ${messageOf(error).slice(-200)}`);
}
