/**
 * What the supervisor process does: it holds the listening sockets' descriptors, keeps the processes that serve, and on workerd the
 * egress process, running on them, and takes all of them down when the host that started it is gone, however it went.
 */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { messageOf } from '../../../shared/thrown.ts';
import { type EgressPlan, type EgressRun, heldDescriptors, runEgress } from '../egress/egress-run.ts';
import { giveToParent } from '../held-socket.ts';
import { isRunning } from '../node/begin-process.ts';
import { runNode } from '../node/node-run.ts';
import type { runWorkerd } from '../workerd/workerd-run.ts';
import { isMessage } from './message.ts';
import {
  FIRST_DESCRIPTOR,
  type FromSupervisor,
  type SupervisorPlan,
  socketsOf,
  type ToSupervisor,
} from './messages.ts';
import type { LogLevel, Run } from './run.ts';
import { RuntimeLog } from './runtime-log.ts';
import { Slot } from './slot.ts';
import { tellingStorageTrouble } from './storage-trouble.ts';

/** Milliseconds that requests in flight get when the host died without a word. */
const ORPHANED_DRAIN = 2_000;
/** Milliseconds between looks whether the host is there. */
const CONNECTED_EVERY = 500;

/** How much of the time to stop in the other processes may use: the first must have some left for its own requests. */
const OTHERS_SHARE = 0.7;

/** TLS identities the egress process was handed; they outlive it. */
const identities = new Map<string, string>();
let egress: Slot | null = null;
/** What it goes by, also when it is started again. */
let outgoing: EgressPlan | null = null;
let egressRun: EgressRun | null = null;
/** The first one holds the Durable Objects. */
let workers: readonly Slot[] = [];
/** Serves while a lone process is replaced. */
let standIn: Slot | null = null;
/** Some processes run by the plan of the reload that is under way, or was, others by an older one. */
let halfReloaded = false;
/** Processes started again, since they had ended by themselves. */
let restarts = 0;
/** Processes that were started before it was known what they serve, by their places, until they are told. */
let begun: (ChildProcess | null)[] = [];
/** Read where workerd is what runs; that is decided with the first plan. */
let workerd: { readonly run: typeof runWorkerd } | null = null;

async function start(plan: SupervisorPlan): Promise<void> {
  const { runtime } = plan;
  if (runtime.kind === 'workerd') workerd = { run: (await import('../workerd/workerd-run.ts')).runWorkerd };
  outgoing = runtime.kind === 'workerd' ? runtime.egress : null;
  const held = plan.sockets.filter(({ udp }) => udp !== true).map(({ descriptor }) => descriptor);
  const descriptors = [...held, ...(outgoing === null ? [] : [outgoing.descriptor, ...heldDescriptors(outgoing)])];
  for (const descriptor of descriptors) {
    giveToParent(descriptor, { type: 'socket', place: descriptor - FIRST_DESCRIPTOR } satisfies FromSupervisor);
  }
  runtimeLog = new RuntimeLog(tellingStorageTrouble(plan.storage, log));
  const first = outgoing;
  if (first !== null) {
    const run = (): EgressRun => {
      egressRun = runEgress(outgoing ?? first, identities, log);
      return egressRun;
    };
    egress = new Slot('the egress process', run, log, tellRestarts, countRestart);
  }
  workers = Array.from(
    { length: plan.processes },
    (_, place) =>
      new Slot(`${runtime.kind} process ${place + 1}`, () => runPlace(plan, place), log, changed, countRestart),
  );
  await Promise.all([egress?.open(), ...workers.map((worker) => worker.open())]);
  tellRestarts();
}

/** What the processes say goes through here. */
let runtimeLog = new RuntimeLog(log);

/** Makes the names of the sockets that workerd processes are warmed up, and told to finish, through. */
let warmUps = 0;

function runPlace({ sockets, runtime, processes }: SupervisorPlan, place: number): Run {
  const served = socketsOf(sockets, place);
  if (runtime.kind === 'node') {
    const [early = null] = begun.splice(place, 1, null);
    return runNode(runtime, served, { place, count: processes }, runtimeLog, early);
  }
  warmUps += 1;
  const warmUp = join(runtime.folder, `warm-${process.pid}-${warmUps}.sock`);
  const config = runtime.configs[place];
  if (config === undefined) throw new Error(`process ${place + 1} has no workerd config`);
  if (workerd === null) throw new Error('workerd was not read');
  return workerd.run(config, served, warmUp, runtimeLog, log);
}

/**
 * Replaces the processes one by one. The first cannot overlap with its successor (they would open the same Durable
 * Object storage twice), so another process must serve meanwhile: a lone one gets a stand-in for that time.
 */
async function reload(plan: SupervisorPlan, drain: number): Promise<void> {
  halfReloaded = false;
  const [first, ...others] = workers;
  if (first === undefined) return;
  if (plan.runtime.kind === 'workerd') {
    // It stays, with what is in flight through it; processes of either plan find what they need meanwhile.
    outgoing = plan.runtime.egress;
    await egressRun?.change(outgoing);
  }
  standIn =
    others.length > 0
      ? null
      : new Slot(
          `a stand-in ${plan.runtime.kind} process`,
          () => runPlace(plan, 1),
          log,
          () => {},
          countRestart,
        );
  try {
    await standIn?.open();
    for (const [index, worker] of others.entries()) {
      await worker.replace(() => runPlace(plan, index + 1), drain, true);
      halfReloaded = true;
    }
    await first.replace(() => runPlace(plan, 0), drain, false);
    halfReloaded = false;
    tellRestarts();
  } finally {
    await standIn?.stop(drain);
    standIn = null;
  }
}

/** The first process goes last, and the egress process after it: requests in flight elsewhere may still need them. */
async function stop(drain: number): Promise<void> {
  const [first, ...others] = workers;
  const deadline = performance.now() + drain;
  await Promise.all([...others, standIn].map((worker) => worker?.stop(drain * OTHERS_SHARE)));
  await first?.stop(Math.max(deadline - performance.now(), 0));
  await egress?.stop(0);
  await Promise.all(begun.map(end));
}

/** A process that has been told nothing has nothing to finish. */
async function end(child: ChildProcess | null): Promise<void> {
  if (child === null || !isRunning(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

function countRestart(): void {
  restarts += 1;
}

/** The first process has the Status API; one that has just taken the place of another knows of none yet. */
function tellRestarts(): void {
  workers[0]?.tellRestarts(restarts);
}

function log(level: LogLevel, message: string): void {
  tell({ type: 'log', level, message });
}

function changed(): void {
  tellPids();
  tellRestarts();
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
    (error: unknown) => tell({ type: 'failed', reason: messageOf(error), half: halfReloaded }),
  );
}

/** Does what the host says from now on. `early`: processes that are to serve, by their places, which wait to be told what; null: none. */
export function supervise(early: readonly (ChildProcess | null)[]): void {
  begun = [...early];
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

  // A fault that nobody has caught is one thing's: the processes that serve end with this one, so it goes on.
  process.on('uncaughtException', (error) =>
    log('error', `not caught by the supervisor: ${error.stack ?? error.message}`),
  );
  process.on('unhandledRejection', (error) => log('error', `not handled by the supervisor: ${messageOf(error)}`));
  let gone = false;
  const orphaned = (): void => {
    if (gone) return;
    gone = true;
    void stop(ORPHANED_DRAIN).finally(() => process.exit());
  };
  process.on('disconnect', orphaned);
  // It may have gone before anybody listened, or before it took a socket that it was given, after which Node tells of no end: what was
  // begun would keep this process, and the sockets, for ever.
  const look = (): void => {
    if (!process.connected) orphaned();
  };
  look();
  setInterval(look, CONNECTED_EVERY);
}
