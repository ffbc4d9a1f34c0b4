import { createHash } from 'node:crypto';
import { type NodeSelector, parseNodeSelector, SelectorFault, selects } from '../../shared/cluster/node-selector.ts';
import { members, number, requireShort, requireWhole, StrategyFault } from './strategy-fields.ts';
import { needsOf, readTraffic, requireOneKind, type Traffic } from './traffic.ts';

export { StrategyFault } from './strategy-fields.ts';

/** Data planes that get a release before all do, and what must be so before the next ones get it. */
export interface Ring {
  readonly nodes: {
    /** In words, as of a group; null: any. */
    readonly labels: string | null;
    /** Of those, chosen by their ids. */
    readonly percent: number;
  };
  /** Absent: all requests of these data planes get it. */
  readonly traffic?: Traffic;
  /** Seconds. */
  readonly hold: number;
  readonly gates: {
    /** Data planes of the ring, and of those before it, that refuse it or report why they do not have it, at most. */
    readonly max_nack: number;
    /** Data planes that have it, at least. */
    readonly min_nodes: number;
    /** Percentage points by which the share of them that left since the ring began may be above that of others; null: however many. */
    readonly max_gone_increase: number | null;
    /** Percentage points by which the share of 5xx may be above that of others; null: however much. */
    readonly max_5xx_increase: number | null;
    /** How many times as long 99 % of the requests may take; null: however long. */
    readonly max_p99_ratio: number | null;
    /** Requests of theirs from which on these two judge, and before which the next ring does not begin; null: nobody waits. */
    readonly min_requests: number | null;
  };
}

const MOST_RINGS = 20;
const LONGEST_HOLD = 7 * 86_400;
/** What a person would choose: long enough for data planes to say that they refuse it, and short enough to wait for. */
const HOLD = 60;
/** Percentage points: one of two may go, as one does that is replaced by another, and not both. */
const MAX_GONE_INCREASE = 50;
/** Percentage points: more than a bad minute of one upstream, less than a route that is gone. */
const MAX_5XX_INCREASE = 5;
/** More than a cold cache, less than a timeout. */
const MAX_P99_RATIO = 5;

/** Reads the rings of a strategy that somebody asks for, with what is left out. Throws `StrategyFault`. */
export function readStrategy(value: unknown): readonly Ring[] {
  const rings = parseRings(value);
  for (const [place, { nodes, traffic, gates }] of rings.entries()) {
    const where = `strategy[${place + 1}]`;
    requireShort(nodes.labels ?? '', `${where}.nodes.labels`);
    requireShort(traffic?.by ?? '', `${where}.traffic.by`);
    for (const name of ['max_nack', 'min_nodes', 'min_requests'] as const)
      requireWhole(gates[name], `${where}.gates.${name}`);
  }
  return rings;
}

/** Reads what is stored, which may be of a version that took more. Throws `StrategyFault`. */
export function parseRings(value: unknown): readonly Ring[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new StrategyFault('strategy', 'expected an array of rings');
  if (value.length > MOST_RINGS) throw new StrategyFault('strategy', `expected at most ${MOST_RINGS} rings`);
  const rings = value.map((ring, place) => readRing(ring, `strategy[${place + 1}]`));
  requireOneKind(rings);
  return rings;
}

function readRing(value: unknown, where: string): Ring {
  const ring = members(value, where, ['nodes', 'traffic', 'hold', 'gates']);
  const nodes = members(ring.nodes ?? {}, `${where}.nodes`, ['labels', 'percent']);
  const gates = members(ring.gates ?? {}, `${where}.gates`, [
    'max_nack',
    'min_nodes',
    'max_gone_increase',
    'max_5xx_increase',
    'max_p99_ratio',
    'min_requests',
  ]);
  const labels = nodes.labels ?? null;
  if (labels !== null) selectorIn(labels, `${where}.nodes.labels`);
  const traffic = ring.traffic ?? null;
  return {
    nodes: {
      labels: labels === null ? null : String(labels),
      percent: number(nodes.percent ?? 100, `${where}.nodes.percent`, 0, 100),
    },
    ...(traffic !== null && { traffic: readTraffic(traffic, `${where}.traffic`) }),
    hold: number(ring.hold ?? HOLD, `${where}.hold`, 0, LONGEST_HOLD),
    gates: {
      max_nack: number(gates.max_nack ?? 0, `${where}.gates.max_nack`, 0, 1_000_000),
      min_nodes: number(gates.min_nodes ?? 0, `${where}.gates.min_nodes`, 0, 1_000_000),
      max_gone_increase: orNull(gates.max_gone_increase, MAX_GONE_INCREASE, `${where}.gates.max_gone_increase`, 0, 100),
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
  readonly capabilities: readonly string[];
}

/** What a data plane gets of a release: all of it, it for a part of the requests, or nothing, `unable` where it cannot split them. */
export type Share = 'all' | Traffic | 'none' | 'unable';

/**
 * Says what data planes get of a release while it is at one of its rings: what this ring and those before it give them, the most where
 * they give more than one thing. Who is among so many percent follows from the release and the data plane alone, and stays when
 * the percentage grows.
 */
export function sharesOf(release: string, rings: readonly Ring[], at: number): (node: RingNode) => Share {
  const reached = rings.slice(0, at + 1).map(({ nodes: { labels, percent }, traffic }) => ({
    labels: labels === null ? null : parseNodeSelector(labels),
    percent,
    traffic,
  }));
  return (node) => {
    const place = placeOf(release, node.id);
    let share: Share = 'none';
    for (const { labels, percent, traffic } of reached) {
      if (place >= percent || (labels !== null && !selects(labels, node.labels))) continue;
      if (traffic === undefined) return 'all';
      if (!needsOf(traffic).every((capability) => node.capabilities.includes(capability))) share = 'unable';
      else if (typeof share === 'string' || share.percent < traffic.percent) share = traffic;
    }
    return share;
  };
}

/** The parts of requests that some data planes have a release for while it is at a ring. */
export function partsOf(rings: readonly Ring[], at: number): readonly Traffic[] {
  return rings.slice(0, at + 1).flatMap(({ traffic }) => traffic ?? []);
}

/** From 0 to 100. */
function placeOf(release: string, node: string): number {
  const digest = createHash('sha256').update(`${release} ${node}`).digest();
  return (digest.readUInt32BE(0) / 2 ** 32) * 100;
}
