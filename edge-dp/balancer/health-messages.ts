import type { TargetHealthMessage } from '../../shared/cluster/messages.ts';
import { isRecord } from '../../shared/record.ts';
import type { ToldFailure } from './failure-runs.ts';
import type { AddressVerdict, HealthAnswer, HealthNews } from './health-view.ts';

/**
 * What isolates, the link and the node's health checker say to each other over `env.NODE`:
 *
 *     POST /health         `HealthNews` as JSON; 200 and `HealthAnswer`
 *     POST /health/orders  `TargetHealthMessage` from the control plane; 204
 *     POST /health/wake    the config changed: look at what there is to probe; 204
 */
export const HEALTH_PATH = '/health';

/** What an isolate has seen. Throws `TypeError` for anything but an object. */
export function parseHealthNews(value: unknown): HealthNews {
  if (!isRecord(value)) throw new TypeError('expected an object');
  return {
    epoch: typeof value.epoch === 'string' ? value.epoch : null,
    since: typeof value.since === 'number' ? value.since : 0,
    changes: parseVerdicts(value.changes),
    failures: parseFailures(value.failures),
  };
}

/** What the node knows. Throws `TypeError` for what is no answer. */
export function parseHealthAnswer(value: unknown): HealthAnswer {
  if (!isRecord(value) || typeof value.epoch !== 'string' || typeof value.version !== 'number')
    throw new TypeError('not an answer of the health checker');
  return { epoch: value.epoch, version: value.version, verdicts: parseVerdicts(value.verdicts) };
}

/** The verdicts of a list; what is none is passed over. */
export function parseVerdicts(value: unknown): readonly AddressVerdict[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) =>
    isRecord(item) && typeof item.upstream === 'string' && typeof item.address === 'string'
      ? [{ upstream: item.upstream, address: item.address, healthy: item.healthy === true }]
      : [],
  );
}

/** An order from the control plane. Throws `TypeError` for what is none. */
export function parseHealthOrder(value: unknown): Omit<TargetHealthMessage, 'type'> {
  if (!isRecord(value) || typeof value.upstream !== 'string' || typeof value.target !== 'string')
    throw new TypeError('not an order about a target');
  const address = typeof value.address === 'string' ? value.address : null;
  return { upstream: value.upstream, target: value.target, address, healthy: value.healthy === true };
}

function parseFailures(value: unknown): readonly ToldFailure[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown): ToldFailure | readonly [] => {
    if (!isRecord(item)) return [];
    const { upstream, address, kind, at, successAt } = item;
    if (typeof upstream !== 'string' || typeof address !== 'string' || typeof at !== 'number') return [];
    if (kind !== 'http' && kind !== 'tcp' && kind !== 'timeout') return [];
    return { upstream, address, kind, at, successAt: typeof successAt === 'number' ? successAt : 0 };
  });
}
