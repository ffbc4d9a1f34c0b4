import { SPLIT_BY, type SplitBy, splitBy } from '../../shared/bundle/split.ts';
import type { Capability } from '../../shared/cluster/capabilities.ts';
import { members, number, StrategyFault } from './strategy-fields.ts';

/** The part of the requests of a data plane that a ring gives a release to. */
export interface Traffic {
  readonly percent: number;
  readonly by: SplitBy;
}

/** Throws `StrategyFault`. */
export function readTraffic(value: unknown, where: string): Traffic {
  const traffic = members(value, where, ['percent', 'by']);
  const by = splitBy(traffic.by);
  if (by === undefined) throw new StrategyFault(`${where}.by`, `expected ${SPLIT_BY}`);
  return { percent: number(traffic.percent, `${where}.percent`, 0, 100), by };
}

/** Throws `StrategyFault` where rings tell requests apart by different things: those that have the release would lose it. */
export function requireOneKind(rings: readonly { readonly traffic?: Traffic }[]): void {
  const first = rings.findIndex(({ traffic }) => traffic !== undefined);
  for (const [place, { traffic }] of rings.entries()) {
    const by = rings[first]?.traffic?.by;
    if (traffic === undefined || traffic.by === by) continue;
    throw new StrategyFault(
      `strategy[${place + 1}].traffic.by`,
      `expected ${by}, as in strategy[${first + 1}]: by anything else, requests that have the release would lose it`,
    );
  }
}

/** What a data plane must be able to do to split its requests like that. */
export function needsOf({ by }: Traffic): readonly Capability[] {
  if (by === 'client_ip') return ['traffic_split', 'client_address'];
  return by === 'colo' ? ['traffic_split', 'edge_fields'] : ['traffic_split'];
}
