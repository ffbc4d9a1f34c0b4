import type { ProcessPlan } from './plan.ts';

/** What a process that serves and its supervisor tell each other over Node's IPC channel. */

export type ToProcess =
  /** The first of all: the file of the Worker, with what runs it. */
  | { readonly type: 'load'; readonly main: string }
  | {
      readonly type: 'start';
      readonly plan: ProcessPlan;
      /** Has the Durable Objects and the Status API. */
      readonly first: boolean;
      /** Nothing of the node may serve yet: what the first requests do not need is loaded after them. */
      readonly cold: boolean;
      /** Descriptors of its listening sockets by their names. */
      readonly descriptors: Readonly<Record<string, number>>;
    }
  /** Finish what there is, and end; in so many milliseconds the process is killed. */
  | { readonly type: 'stop'; readonly drain: number }
  /** How many processes of the node were started again by now. */
  | { readonly type: 'restarts'; readonly total: number };

export type FromProcess = { readonly type: 'ready' } | { readonly type: 'failed'; readonly reason: string };

/** Descriptors from this one on are the listening sockets: 3 is the IPC channel. */
export const FIRST_DESCRIPTOR = 4;

/** Name of the socket on which the first process answers the others. */
export const NODE_SOCKET = 'node';
