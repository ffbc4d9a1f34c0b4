/** Data planes that get a release before all do, and what must be so before the next ones get it. */
export interface Ring {
  readonly nodes: { readonly labels: string | null; readonly percent: number };
  /** For a part of their requests; absent: for all. */
  readonly traffic?: { readonly percent: number; readonly by: string };
  /** Seconds. */
  readonly hold: number;
  readonly gates: {
    readonly max_nack: number;
    readonly min_nodes: number;
    readonly max_gone_increase: number | null;
    readonly max_5xx_increase: number | null;
    readonly max_p99_ratio: number | null;
    readonly min_requests: number | null;
  };
}

/** `GET /releases`, as far as it is shown. */
export interface Release {
  readonly id: string;
  readonly group: string;
  readonly state: 'scheduled' | 'rolling' | 'paused' | 'live' | 'replaced' | 'aborted' | 'published';
  readonly reason: string | null;
  readonly serial: number;
  readonly strategy: readonly Ring[];
  /** From 1; null unless it is at one. */
  readonly ring: number | null;
  readonly rollback_to: string | null;
  readonly config_hash: string;
  /** When it begins, where it waits for a time. */
  readonly at: number | null;
  readonly created_at: number;
  readonly updated_at: number;
}

/** What some data planes served. */
interface Served {
  readonly requests: number;
  readonly status_5xx: number;
  readonly latency_p99_ms: number | null;
}

/** What the gates of a release's ring see. */
export interface Figures {
  readonly nodes: number;
  readonly nodes_serving: number;
  readonly nodes_gone: number;
  readonly nodes_refusing: number;
  readonly nodes_unable: number;
  readonly ring: Served;
  readonly others: Served;
  readonly waits_for: readonly string[];
}

/** What can be asked of a release, in words. */
export const ORDERS: Readonly<Record<string, string>> = {
  promote: 'Go on now',
  pause: 'Pause',
  resume: 'Resume',
  abort: 'Undo',
  rollback: 'Go back to this',
};

/** What can be asked of it in the state it is in. */
export function ordersOf({ state }: Pick<Release, 'state'>): readonly string[] {
  switch (state) {
    case 'scheduled':
      return ['promote', 'abort'];
    case 'rolling':
      return ['promote', 'pause', 'abort'];
    case 'paused':
      return ['resume', 'promote', 'abort'];
    case 'replaced':
    case 'published':
      return ['rollback'];
    default:
      return [];
  }
}

/**
 * What an order is sent with. One that takes a release further says where it was seen, so that two who press the same button
 * take it one ring further; one that holds or undoes it is obeyed wherever it is.
 */
export function orderBody(name: string, { ring }: Pick<Release, 'ring'>): { readonly ring: number | null } | undefined {
  return name === 'promote' || name === 'resume' ? { ring } : undefined;
}

/** Whom a ring is of. */
export function ringText({ nodes: { labels, percent }, traffic, hold }: Ring): string {
  const whom = `${percent === 100 ? 'all' : `${percent} % of the`} data planes${labels === null ? '' : ` with ${labels}`}`;
  const part = traffic === undefined ? '' : `, ${traffic.percent} % of their requests by ${traffic.by}`;
  return `${whom}${part}, for ${holdText(hold)}`;
}

function holdText(seconds: number): string {
  if (seconds >= 3_600 && seconds % 3_600 === 0) return `${seconds / 3_600} h`;
  return seconds >= 60 && seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}

/** What would undo a ring, or keep it, in words. */
export function gatesText({ gates }: Ring): string {
  const texts = [
    `${gates.max_nack} may refuse it`,
    gates.min_nodes > 0 ? `${gates.min_nodes} must have it` : null,
    gates.max_gone_increase === null ? null : `at most ${gates.max_gone_increase} points more may leave`,
    gates.max_5xx_increase === null ? null : `at most ${gates.max_5xx_increase} points more 5xx`,
    gates.max_p99_ratio === null ? null : `p99 at most ${gates.max_p99_ratio} times as long`,
    gates.min_requests === null ? null : `${gates.min_requests} requests first`,
  ];
  return texts.filter((text) => text !== null).join('; ');
}
