import { isRecord } from '../../shared/record.ts';

/** What is wrong with a strategy, and where. */
export class StrategyFault extends Error {
  readonly field: string;
  constructor(field: string, fault: string) {
    super(fault);
    this.field = field;
  }
}

/** A record with no other members than those that are known. */
export function members(value: unknown, where: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw new StrategyFault(where, 'expected a record');
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new StrategyFault(`${where}.${unknown.slice(0, 64)}`, `unknown field; there are ${known.join(', ')}`);
  }
  return value;
}

export function number(value: unknown, where: string, least: number, most: number): number {
  if (typeof value === 'number' && value >= least && value <= most) return value;
  throw new StrategyFault(where, `expected a number between ${least} and ${most}`);
}

/** As long as the labels of a group may be. */
const LONGEST = 1_024;

export function requireShort(text: string, where: string): void {
  if (text.length > LONGEST) throw new StrategyFault(where, `length must be at most ${LONGEST}`);
}

/** A count; null: none. */
export function requireWhole(value: number | null, where: string): void {
  if (value !== null && !Number.isInteger(value)) throw new StrategyFault(where, 'expected a whole number');
}
