/** `GET /releases/{id}`, as far as it is shown. */
export interface Release {
  readonly id: string;
  readonly group: string;
  readonly state: 'scheduled' | 'rolling' | 'paused' | 'live' | 'replaced' | 'aborted' | 'published';
  readonly reason: string | null;
  readonly serial: number;
  readonly strategy: readonly object[];
  /** From 1; null unless it is at one. */
  readonly ring: number | null;
  readonly rollback_to: string | null;
  readonly config_hash: string;
  /** When it begins, where it waits for a time. */
  readonly at: number | null;
  readonly created_at: number;
  readonly updated_at: number;
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

/** Rings of so many percent each, as in `10,50`, that hold so many seconds. */
export function stepsOf(percents: string, hold: number): readonly { nodes: { percent: number }; hold: number }[] {
  return percents.split(',').map((percent) => ({ nodes: { percent: Number(percent) }, hold }));
}
