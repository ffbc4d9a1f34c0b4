import type { Author } from '../store/author.ts';
import type { Change, ReleaseState } from '../store/store.ts';

/** What `GET /events` tells: docs/events.md. Times (`at`) are Unix seconds with milliseconds. */
export type ClusterEvent =
  | { readonly kind: 'change'; readonly data: ChangeEvent }
  | { readonly kind: 'published'; readonly data: PublishedEvent }
  | { readonly kind: 'node'; readonly data: NodeEvent }
  | { readonly kind: 'release'; readonly data: ReleaseEvent }
  | { readonly kind: 'trouble'; readonly data: TroubleEvent }
  | { readonly kind: 'missed'; readonly data: { readonly missed: readonly EventKind[] } };

export const EVENT_KINDS = ['change', 'published', 'node', 'release', 'trouble'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** One transaction of the Admin API, or of a purge, is committed. */
interface ChangeEvent {
  readonly serial: number;
  readonly at: number;
  /** Null: nobody said. */
  readonly by: Author | null;
  /** Rows changed; 100 at most are named. */
  readonly total: number;
  readonly changes: readonly Omit<Change, 'serial'>[];
}

/** This control plane has signed a group's config. */
interface PublishedEvent {
  readonly group: string;
  readonly serial: number;
  readonly config_hash: string;
  /** False: it is what the group had, under a new serial. */
  readonly changed: boolean;
  readonly at: number;
}

/** What became of a data plane. */
export type NodeChange = 'joined' | 'left' | 'moved' | 'applied' | 'rejected' | 'withheld';

interface NodeEvent {
  readonly id: string;
  readonly hostname: string;
  readonly group: string;
  readonly change: NodeChange;
  /** What it applied last; null: it has none. */
  readonly serial: number | null;
  readonly config_hash: string | null;
  readonly sync_status: string;
  readonly reason: string | null;
  readonly at: number;
}

/** A release came to be where it is. */
interface ReleaseEvent {
  readonly id: string;
  readonly group: string;
  readonly state: ReleaseState;
  /** The ring it is at, from 1, of so many. */
  readonly ring: number | null;
  readonly rings: number;
  readonly reason: string | null;
  readonly serial: number;
  readonly config_hash: string;
  readonly at: number;
}

/** Why what is committed is not published; null: it is again. */
interface TroubleEvent {
  /** Null: of all groups. */
  readonly group: string | null;
  readonly reason: string | null;
  readonly at: number;
}

/** Unix seconds with milliseconds. */
export const seconds = (milliseconds: number): number => Math.round(milliseconds) / 1000;
