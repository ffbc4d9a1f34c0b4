import {
  type DifferingRequest,
  REPLAY_ASPECTS,
  type ReplayAspect,
  type ReplayFigures,
  type RequestShape,
} from '../../shared/cluster/replay.ts';
import { othersTurn } from '../config/update-in-slices.ts';
import type { Comparison } from './compare.ts';

/** Requests compared at a time: about a millisecond in which no request of the isolate is served. */
const SLICE = 200;
/** Characters of what is told of single requests in one answer. */
const LONGEST_LIST = 192 << 10;

/** What comes of some requests in two configs; `list`: requests that differ which are told one by one, at most. */
export async function figuresOf(
  comparison: Comparison,
  requests: readonly RequestShape[],
  list: number,
): Promise<ReplayFigures> {
  const changes: Record<ReplayAspect, number> = { route: 0, service: 0, upstream: 0, plugins: 0, status: 0 };
  const differing: DifferingRequest[] = [];
  let [all, changed, unsure, length] = [0, 0, 0, 0];
  for (let at = 0; at < requests.length; at += SLICE) {
    if (at > 0) await othersTurn();
    for (const shape of requests.slice(at, at + SLICE)) {
      const compared = comparison.compare(shape);
      all += shape.count;
      if (compared.unsure) unsure += shape.count;
      if (compared.changes.length === 0) continue;
      changed += shape.count;
      for (const aspect of REPLAY_ASPECTS) if (compared.changes.includes(aspect)) changes[aspect] += shape.count;
      if (differing.length >= list || length > LONGEST_LIST) continue;
      const told = compared.differing();
      length += JSON.stringify(told).length;
      if (length <= LONGEST_LIST) differing.push(told);
    }
  }
  return { requests: all, changed, changes, unsure, differing };
}
