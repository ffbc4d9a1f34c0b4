import type { Health } from '../../../admin/cluster/cluster-view.ts';
import { plain } from '../parts/plain.ts';

/** How one of an upstream's targets is chosen, as far as it is shown. */
export interface Balancing {
  readonly upstream: { readonly id: string; readonly name: string };
  readonly algorithm: string;
  readonly hash: { readonly on: string; readonly name: string | null; readonly value: string | null } | null;
  readonly threshold: number;
  readonly refusal: string | null;
}

/** A target. A data plane of an earlier version tells no more than the first three. */
export interface ExplainedTarget {
  readonly target: string;
  readonly weight: number;
  readonly available: boolean;
  readonly address?: string | null;
  readonly health?: Health;
  readonly share?: number | null;
}

/** The target that gets the request, null where that is not known beforehand or none does, and why. */
export function chosen(
  { algorithm, hash, threshold, refusal }: Balancing,
  targets: readonly ExplainedTarget[],
): { readonly target: ExplainedTarget | null; readonly because: string } {
  if (refusal !== null) {
    const answer = `The client is answered 503: ${refusal}.`;
    return { target: null, because: `Nobody: ${withoutTarget(threshold, targets)}. ${answer}` };
  }
  const target = targets.find(({ share }) => share === 1) ?? null;
  if (target !== null) return { target, because: targets.length === 1 ? 'it is the only one' : whyThis(hash, targets) };
  if (hash?.on === 'cookie')
    return {
      target,
      because: `Any of them. The client gets a cookie ${plain(hash.name ?? '', 80)}, with which it comes back to the same one.`,
    };
  if (hash !== null)
    return { target, because: 'The address of the client decides: say one above, under Client address.' };
  return { target, because: TURNS[algorithm] ?? 'It is chosen when the request is there.' };
}

const TURNS: Readonly<Record<string, string>> = {
  'round-robin': 'Those that are available take turns, by their weights.',
  'least-connections': 'The one that has the fewest open connections for its weight when the request is there.',
  latency: 'Of two drawn at random, the one that has answered faster lately for its weight.',
};

function withoutTarget(threshold: number, targets: readonly ExplainedTarget[]): string {
  if (targets.length === 0) return 'the upstream has no targets';
  const weightOf = (some: readonly ExplainedTarget[]) => some.reduce((sum, { weight }) => sum + weight, 0);
  const available = weightOf(targets.filter((target) => target.available));
  if (available === 0) return 'no target is available';
  const percent = Math.round((available / weightOf(targets)) * 100);
  return `${percent} % of the weight is available, and the upstream is used only above its threshold of ${threshold} %`;
}

function whyThis(hash: Balancing['hash'], targets: readonly ExplainedTarget[]): string {
  if (targets.filter(({ available }) => available).length === 1) return 'no other is available';
  if (hash === null || hash.value === null)
    return 'requests that have nothing of what is hashed all go to the same target';
  const source = (SOURCES[hash.on] ?? hash.on) + (hash.name === null ? '' : ` ${plain(hash.name, 80)}`);
  return `all requests go there whose ${source} is ${plain(hash.value, 200)}`;
}

const SOURCES: Readonly<Record<string, string>> = {
  ip: 'client address',
  query_arg: 'query argument',
  uri_capture: 'captured part of the path',
};

/** What a target has to do with the request. */
export function standing({ weight, available, address, health, share }: ExplainedTarget): string {
  if (available) {
    if (share === 1) return 'gets it';
    if (share === 0) return 'available, but not chosen';
    return share == null ? 'may get it' : `gets ${Math.round(share * 1000) / 10} % of such requests`;
  }
  if (weight === 0) return 'gets none: its weight is 0';
  if (health === 'UNHEALTHY') return 'gets none: it is unhealthy, by a health check or a mark';
  if (health === 'DNS_ERROR') return 'gets none: its name leads to no address';
  return address === null ? 'gets none: its name has not been looked up yet' : 'gets none: it is not available';
}
