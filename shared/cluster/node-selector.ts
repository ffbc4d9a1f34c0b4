/** One demand of a selector on the labels of a data plane. `absent` asks that there be no such label. */
type Demand =
  | { readonly key: string; readonly op: 'in' | 'notin'; readonly values: readonly string[] }
  | { readonly key: string; readonly op: 'present' | 'absent' };

/** Which data planes a group is for: those whose labels meet every demand. */
export type NodeSelector = readonly Demand[];

/** What is wrong with a selector, in words. */
export class SelectorFault extends Error {}

const KEY = String.raw`[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?`;
const LIST = new RegExp(String.raw`^(${KEY})\s+(in|notin)\s*\(([^()]*)\)$`);
const EQUAL = new RegExp(String.raw`^(${KEY})\s*(==?|!=)\s*(${KEY})$`);
const HERE = new RegExp(String.raw`^(!?)\s*(${KEY})$`);
const WORD = new RegExp(`^${KEY}$`);

/**
 * Reads a selector in the words that Kubernetes has for labels: `region in (eu, us), tier = edge, !canary`. Commas
 * join demands that all must be met. Throws `SelectorFault`.
 */
export function parseNodeSelector(text: string): NodeSelector {
  return demandsIn(text).map(parseDemand);
}

/** Whether a data plane with these labels is meant. `!=` and `notin` also mean one without the label. */
export function selects(selector: NodeSelector, labels: Readonly<Record<string, string>>): boolean {
  return selector.every((demand) => meets(demand, Object.hasOwn(labels, demand.key) ? labels[demand.key] : undefined));
}

function meets(demand: Demand, value: string | undefined): boolean {
  switch (demand.op) {
    case 'present':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'in':
      return value !== undefined && demand.values.includes(value);
    case 'notin':
      return value === undefined || !demand.values.includes(value);
  }
}

/** Between the commas that are not within a list. */
function demandsIn(text: string): readonly string[] {
  const parts: string[] = [];
  let [depth, start] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '(') depth++;
    else if (text[at] === ')') depth--;
    else if (text[at] === ',' && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)].map((part) => part.trim());
}

function parseDemand(text: string): Demand {
  const [, listed, list, inside = ''] = LIST.exec(text) ?? [];
  if (listed !== undefined) {
    const values = inside.split(',').map((value) => value.trim());
    const wrong = values.find((value) => !WORD.test(value));
    if (wrong !== undefined) throw new SelectorFault(`expected values of a label in '${text}', found '${wrong}'`);
    return { key: listed, op: list === 'in' ? 'in' : 'notin', values };
  }
  const [, compared, operator, value] = EQUAL.exec(text) ?? [];
  if (compared !== undefined && value !== undefined) {
    return { key: compared, op: operator === '!=' ? 'notin' : 'in', values: [value] };
  }
  const [, not, key] = HERE.exec(text) ?? [];
  if (key !== undefined) return { key, op: not === '!' ? 'absent' : 'present' };
  throw new SelectorFault(
    `expected 'key = value', 'key != value', 'key in (a, b)', 'key notin (a, b)', 'key' or '!key', found '${text}'`,
  );
}
