import { createHash } from 'node:crypto';
import { type NodeSelector, parseNodeSelector, SelectorFault, selects } from '../../shared/cluster/node-selector.ts';
import { isRecord } from '../../shared/record.ts';

/** Data planes that get a release before all do, and what must be so before the next ones get it. */
export interface Ring {
  readonly nodes: {
    /** In words, as of a group; null: any. */
    readonly labels: string | null;
    /** Of those, chosen by their ids. */
    readonly percent: number;
  };
  /** Seconds. */
  readonly hold: number;
  readonly gates: {
    /** Data planes of the ring, and of those before it, that refuse it or report why they do not have it, at most. */
    readonly max_nack: number;
    /** Data planes that have it, at least. */
    readonly min_nodes: number;
    /** Percentage points by which the share of 5xx may be above that of others; null: however much. */
    readonly max_5xx_increase: number | null;
    /** How many times as long 99 % of the requests may take; null: however long. */
    readonly max_p99_ratio: number | null;
    /** Requests of theirs from which on these two judge, and before which the next ring does not begin; null: nobody waits. */
    readonly min_requests: number | null;
  };
}

/** What is wrong with a strategy, and where. */
export class StrategyFault extends Error {
  readonly field: string;
  constructor(field: string, fault: string) {
    super(fault);
    this.field = field;
  }
}

const MOST_RINGS = 20;
const LONGEST_HOLD = 7 * 86_400;
/** What a person would choose: long enough for data planes to say that they refuse it, and short enough to wait for. */
const HOLD = 60;
/** Percentage points: more than a bad minute of one upstream, less than a route that is gone. */
const MAX_5XX_INCREASE = 5;
/** More than a cold cache, less than a timeout. */
const MAX_P99_RATIO = 5;

/** Reads what is stored, or throws. */
export const parseRings = (value: unknown): readonly Ring[] => readStrategy(value);

/** Reads the rings of a strategy, with what is left out. Throws `StrategyFault`. */
export function readStrategy(value: unknown): readonly Ring[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new StrategyFault('strategy', 'expected an array of rings');
  if (value.length > MOST_RINGS) throw new StrategyFault('strategy', `expected at most ${MOST_RINGS} rings`);
  return value.map((ring, place) => readRing(ring, `strategy[${place + 1}]`));
}

function readRing(value: unknown, where: string): Ring {
  const ring = members(value, where, ['nodes', 'hold', 'gates']);
  const nodes = members(ring.nodes ?? {}, `${where}.nodes`, ['labels', 'percent']);
  const gates = members(ring.gates ?? {}, `${where}.gates`, [
    'max_nack',
    'min_nodes',
    'max_5xx_increase',
    'max_p99_ratio',
    'min_requests',
  ]);
  const labels = nodes.labels ?? null;
  if (labels !== null) selectorIn(labels, `${where}.nodes.labels`);
  return {
    nodes: {
      labels: labels === null ? null : String(labels),
      percent: number(nodes.percent ?? 100, `${where}.nodes.percent`, 0, 100),
    },
    hold: number(ring.hold ?? HOLD, `${where}.hold`, 0, LONGEST_HOLD),
    gates: {
      max_nack: number(gates.max_nack ?? 0, `${where}.gates.max_nack`, 0, 1_000_000),
      min_nodes: number(gates.min_nodes ?? 0, `${where}.gates.min_nodes`, 0, 1_000_000),
      max_5xx_increase: orNull(gates.max_5xx_increase, MAX_5XX_INCREASE, `${where}.gates.max_5xx_increase`, 0, 100),
      max_p99_ratio: orNull(gates.max_p99_ratio, MAX_P99_RATIO, `${where}.gates.max_p99_ratio`, 1, 1_000),
      min_requests: orNull(gates.min_requests, null, `${where}.gates.min_requests`, 1, 1_000_000_000),
    },
  };
}

/** What is left out is as a person would choose; null is no gate. */
function orNull(
  value: unknown,
  initial: number | null,
  where: string,
  ...[least, most]: readonly [number, number]
): number | null {
  if (value === null) return null;
  return value === undefined ? initial : number(value, where, least, most);
}

function members(value: unknown, where: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw new StrategyFault(where, 'expected a record');
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new StrategyFault(`${where}.${unknown}`, `unknown field; there are ${known.join(', ')}`);
  }
  return value;
}

function number(value: unknown, where: string, least: number, most: number): number {
  if (typeof value === 'number' && value >= least && value <= most) return value;
  throw new StrategyFault(where, `expected a number between ${least} and ${most}`);
}

function selectorIn(value: unknown, where: string): NodeSelector {
  if (typeof value !== 'string') throw new StrategyFault(where, 'expected a string');
  try {
    return parseNodeSelector(value);
  } catch (error) {
    if (error instanceof SelectorFault) throw new StrategyFault(where, error.message);
    throw error;
  }
}

/** A data plane, as rings choose it. */
export interface RingNode {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Says of data planes whether they get a release while it is at one of its rings: those of this ring and of the ones before
 * it. Who is among so many percent follows from the release and the data plane alone, and stays when the percentage grows.
 */
export function chosenBy(release: string, rings: readonly Ring[], at: number): (node: RingNode) => boolean {
  const reached = rings.slice(0, at + 1).map(({ nodes: { labels, percent } }) => ({
    labels: labels === null ? null : parseNodeSelector(labels),
    percent,
  }));
  return (node) => {
    const place = placeOf(release, node.id);
    return reached.some(({ labels, percent }) => place < percent && (labels === null || selects(labels, node.labels)));
  };
}

/** From 0 to 100. */
function placeOf(release: string, node: string): number {
  const digest = createHash('sha256').update(`${release} ${node}`).digest();
  return (digest.readUInt32BE(0) / 2 ** 32) * 100;
}
