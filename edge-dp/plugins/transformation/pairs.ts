/** An item of a transformer's list: `name:value`, or a name alone. */
export interface Pair {
  readonly name: string;
  /** Behind the first colons; null: nothing. */
  readonly value: string | null;
}

export function splitPair(item: string): Pair {
  const [, name = item, value = ''] = /^([^:]+):*(.*)$/s.exec(item) ?? [];
  return { name, value: value === '' ? null : value };
}
