import type { NodePlan } from '../node/plan.ts';
import type { WorkerdPlan } from '../workerd/plan.ts';
import type { SharedAddress } from '../workerd/stop-accepting.ts';
import type { LogLevel } from './run.ts';

/** What the host and its supervisor process tell each other over Node's IPC channel. */

/** The supervisor's descriptors from this one on are the listening sockets: 3 is the IPC channel. */
export const FIRST_DESCRIPTOR = 4;

/** What the supervisor is to run. Descriptors are its own, inherited at its start. */
export interface SupervisorPlan {
  readonly processes: number;
  /** Folder of the node's databases. */
  readonly storage: string;
  readonly sockets: readonly PlannedSocket[];
  readonly runtime: WorkerdPlan | NodePlan;
}

export interface PlannedSocket {
  readonly name: string;
  readonly descriptor: number;
  /** Internal sockets and the Status API are the first process's alone, a UDP socket that of the process with the number. */
  readonly servedBy: 'all' | 'first' | number;
  /** Takes datagrams: not one that can be held for a supervisor that was killed. */
  readonly udp?: boolean;
  /** Of a listener with TLS; null for others. */
  readonly tls: SharedAddress | null;
}

/** The sockets that the process with this number serves. */
export function socketsOf(sockets: readonly PlannedSocket[], place: number): readonly PlannedSocket[] {
  return sockets.filter(({ servedBy: by }) => by === 'all' || by === place || (by === 'first' && place === 0));
}

export type ToSupervisor =
  | { readonly type: 'start'; readonly plan: SupervisorPlan }
  | { readonly type: 'reload'; readonly plan: SupervisorPlan; readonly drain: number }
  | { readonly type: 'stop'; readonly drain: number };

export type FromSupervisor =
  /** Answers `start` and `reload`. */
  | { readonly type: 'done' }
  /** `half`: some processes run by the new plan by now, others by the one before. */
  | { readonly type: 'failed'; readonly reason: string; readonly half: boolean }
  /** Comes with the listening socket that is the supervisor's descriptor at `place`. */
  | { readonly type: 'socket'; readonly place: number }
  | { readonly type: 'pids'; readonly pids: readonly number[] }
  | { readonly type: 'log'; readonly level: LogLevel; readonly message: string };
