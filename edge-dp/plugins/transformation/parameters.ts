/**
 * The named values of a message (arguments of a query, fields of a form, members of a JSON object) as transformers change them. Each
 * method says whether it changed anything.
 */
export interface Parameters<V = string> {
  remove(name: string): boolean;
  /** In place of what has the new name; nothing where there is none of the old one. */
  rename(from: string, to: string): boolean;
  /** Only where there is one of that name. */
  replace(name: string, value: V): boolean;
  /** Only where there is none of that name. */
  add(name: string, value: V): boolean;
  /** Beside what there is of that name. */
  append(name: string, value: V): boolean;
}

/** What is to become of them; names in the second place of `rename`. */
export interface ParameterRules<V = string> {
  readonly remove: readonly string[];
  readonly rename: readonly (readonly [string, string])[];
  readonly replace: readonly (readonly [string, V])[];
  readonly add: readonly (readonly [string, V])[];
  readonly append: readonly (readonly [string, V])[];
}

/** Changes them in Kong's order: remove, rename, replace, add, append. Whether anything changed. */
export function changeParameters<V>(parameters: Parameters<V>, rules: ParameterRules<V>): boolean {
  let changed = false;
  for (const name of rules.remove) changed = parameters.remove(name) || changed;
  for (const [from, to] of rules.rename) changed = (from !== to && parameters.rename(from, to)) || changed;
  for (const [name, value] of rules.replace) changed = parameters.replace(name, value) || changed;
  for (const [name, value] of rules.add) changed = parameters.add(name, value) || changed;
  for (const [name, value] of rules.append) changed = parameters.append(name, value) || changed;
  return changed;
}
