/**
 * The supervisor process: holds the listening sockets' descriptors, keeps the workerd processes and the egress process
 * running on them, and takes all of them down when the host that started it is gone, however it went.
 */

import { join } from 'node:path';
import { messageOf } from '../../../shared/thrown.ts';
import { runEgress } from '../egress/egress-run.ts';
import { giveToParent } from '../held-socket.ts';
import { isMessage } from '../supervision/message.ts';
import { Slot } from '../supervision/slot.ts';
import { tellingStorageTrouble } from '../supervision/storage-trouble.ts';
import { FIRST_DESCRIPTOR, type FromSupervisor, type SupervisorPlan, type ToSupervisor } from './messages.ts';
import { RuntimeLog } from './runtime-log.ts';
import { type BoundSocket, runWorkerd } from './workerd-run.ts';

/** Milliseconds that requests in flight get when the host died without a word. */
const ORPHANED_DRAIN = 2_000;

/** How much of the time to stop in the other processes may use: the first must have some left for its own requests. */
const OTHERS_SHARE = 0.7;

/** TLS identities the egress process was handed; they outlive it. */
const identities = new Map<string, string>();
let egress: Slot | null = null;
/** The first one holds the Durable Objects. */
let workers: readonly Slot[] = [];

async function start(plan: SupervisorPlan): Promise<void> {
  const descriptors = [...plan.sockets, plan.egress, ...plan.egress.relays].map(({ descriptor }) => descriptor);
  for (const descriptor of descriptors) {
    giveToParent(descriptor, { type: 'socket', place: descriptor - FIRST_DESCRIPTOR } satisfies FromSupervisor);
  }
  runtimeLog = new RuntimeLog(tellingStorageTrouble(plan.durableObjects, log));
  egress = new Slot(
    'the egress process',
    () => runEgress(plan.egress, identities, log),
    log,
    () => {},
  );
  workers = Array.from(
    { length: plan.processes },
    (_, place) => new Slot(nameOf(place), () => runPlace(plan, place), log, tellPids),
  );
  await Promise.all([egress.open(), ...workers.map((worker) => worker.open())]);
}

/** What workerd processes say goes through here. */
let runtimeLog = new RuntimeLog(log);

/** Makes the names of the sockets that processes are warmed up, and told to finish, through. */
let warmUps = 0;

function nameOf(place: number): string {
  return `workerd process ${place + 1}`;
}

function runPlace(plan: SupervisorPlan, place: number): ReturnType<typeof runWorkerd> {
  const sockets: BoundSocket[] = plan.sockets.filter(({ servedBy }) => servedBy === 'all' || place === 0);
  const config = place === 0 ? plan.firstConfig : plan.otherConfig;
  warmUps += 1;
  const socket = join(plan.folder, `warm-${process.pid}-${warmUps}.sock`);
  return runWorkerd(config, sockets, socket, runtimeLog, log);
}

/**
 * Replaces the processes one by one. The first cannot overlap with its successor (they would open the same Durable
 * Object storage twice), so another process must serve meanwhile: a lone one gets a stand-in for that time.
 */
async function reload(plan: SupervisorPlan, drain: number): Promise<void> {
  const [first, ...others] = workers;
  if (first === undefined) return;
  const standIn =
    others.length > 0
      ? null
      : new Slot(
          'a stand-in workerd process',
          () => runPlace(plan, 1),
          log,
          () => {},
        );
  await standIn?.open();
  try {
    for (const [index, worker] of others.entries()) await worker.replace(() => runPlace(plan, index + 1), drain, true);
    await first.replace(() => runPlace(plan, 0), drain, false);
  } finally {
    await standIn?.stop(drain);
  }
}

/** The first process goes last, and the egress process after it: requests in flight elsewhere may still need them. */
async function stop(drain: number): Promise<void> {
  const [first, ...others] = workers;
  const deadline = performance.now() + drain;
  await Promise.all(others.map((worker) => worker.stop(drain * OTHERS_SHARE)));
  await first?.stop(Math.max(deadline - performance.now(), 0));
  await egress?.stop(0);
}

function log(level: 'info' | 'notice' | 'warn' | 'error', message: string): void {
  tell({ type: 'log', level, message });
}

function tellPids(): void {
  tell({ type: 'pids', pids: workers.flatMap(({ pid }) => pid ?? []) });
}

function tell(message: FromSupervisor): void {
  // A host that is gone is noticed by `disconnect`; until then there is nobody to tell.
  if (process.connected) process.send?.(message, () => {});
}

/** One command at a time, in the order they came. */
let last: Promise<void> = Promise.resolve();

function inTurn(command: () => Promise<void>): void {
  last = last.then(command).then(
    () => tell({ type: 'done' }),
    (error: unknown) => tell({ type: 'failed', reason: messageOf(error) }),
  );
}

process.on('message', (message) => {
  if (!isMessage<ToSupervisor>(message)) return;
  switch (message.type) {
    case 'start':
      inTurn(() => start(message.plan));
      break;
    case 'reload':
      inTurn(() => reload(message.plan, message.drain));
      break;
    case 'stop':
      // Not in turn: a start or reload that hangs must not keep the node from stopping.
      void stop(message.drain).finally(() => process.exit());
      break;
  }
});

process.on('disconnect', () => void stop(ORPHANED_DRAIN).finally(() => process.exit()));
