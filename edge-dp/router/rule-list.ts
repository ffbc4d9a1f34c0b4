import { compareRanks } from './priority.ts';
import type { Rule } from './rule.ts';
import type { Edit } from './trie.ts';

/** Rules, best first. */
export type RuleList = readonly Rule[];

/** The list with a rule more. */
export function withRule(list: RuleList | null, rule: Rule, edit: Edit): RuleList {
  const changed = editable(list ?? [], edit);
  changed.splice(position(changed, rule), 0, rule);
  return changed;
}

/** The list without a rule; null when nothing is left. */
export function withoutRule(list: RuleList | null, rule: Rule, edit: Edit): RuleList | null {
  const changed = editable(list ?? [], edit);
  const at = changed.indexOf(rule, Math.max(0, position(changed, rule) - 1));
  const found = at >= 0 ? at : changed.indexOf(rule);
  if (found >= 0) changed.splice(found, 1);
  return changed.length === 0 ? null : changed;
}

/** The first place whose rule does not come before this one. */
function position(list: RuleList, rule: Rule): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = list[middle];
    if (other && compareRanks(other.rank, rule.rank) > 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function editable(list: RuleList, edit: Edit): Rule[] {
  return isOwn(list, edit) ? list : edit.own([...list]);
}

function isOwn(list: RuleList, edit: Edit): list is Rule[] {
  return edit.owns(list);
}
