import { compareRanks } from './priority.ts';
import type { Rule } from './rule.ts';
import type { Edit } from './trie.ts';

/** Rules, best first. */
export interface RuleList {
  readonly rules: readonly Rule[];
  readonly madeIn: Edit;
}

interface OwnList extends RuleList {
  readonly rules: Rule[];
}

/** The list with a rule more. */
export function withRule(list: RuleList | null, rule: Rule, edit: Edit): RuleList {
  if (list === null) return { rules: [rule], madeIn: edit };
  const changed = editable(list, edit);
  changed.rules.splice(position(changed, rule), 0, rule);
  return changed;
}

/** The list without a rule; null when nothing is left. */
export function withoutRule(list: RuleList | null, rule: Rule, edit: Edit): RuleList | null {
  if (list === null) return null;
  const changed = editable(list, edit);
  const { rules } = changed;
  const at = rules.indexOf(rule, Math.max(0, position(changed, rule) - 1));
  const found = at >= 0 ? at : rules.indexOf(rule);
  if (found >= 0) rules.splice(found, 1);
  return rules.length === 0 ? null : changed;
}

/** The first place whose rule does not come before this one. */
function position({ rules }: RuleList, rule: Rule): number {
  let low = 0;
  let high = rules.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = rules[middle];
    if (other && compareRanks(other.rank, rule.rank) > 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function editable(list: RuleList, edit: Edit): OwnList {
  return isOwn(list, edit) ? list : { rules: [...list.rules], madeIn: edit };
}

/** Lists are made here only, so that one made in the batch is known to be changeable. */
function isOwn(list: RuleList, edit: Edit): list is OwnList {
  return list.madeIn === edit;
}
