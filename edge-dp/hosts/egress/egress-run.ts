import { spawn } from 'node:child_process';
import { moduleFile } from '../module-file.ts';
import { isMessage } from '../supervision/message.ts';
import { endOf, type Log, Output, type Run } from '../supervision/run.ts';
import type { EgressChange, EgressStart, FromEgress } from './messages.ts';
import type { RelayTarget } from './relay.ts';

/** Where an egress process serves. Descriptors are the caller's. */
export interface EgressPlan extends Pick<EgressStart, 'token' | 'folder' | 'dns' | 'trust' | 'secrets'> {
  /** Listening socket the Workers reach it on. */
  readonly descriptor: number;
  readonly relays: readonly RelayPlan[];
}

/** Raw TCP from a listening socket onwards: one that is there, by its descriptor, or one the process opens, by its path. */
interface RelayPlan extends RelayTarget {
  readonly at: number | string;
}

/** An egress process, which may be told of another plan for the same descriptors. */
export interface EgressRun extends Run {
  /** Resolves when it goes by the plan, or has ended. */
  change(plan: EgressPlan): Promise<void>;
}

const MAIN = moduleFile('./main', import.meta.url);

/** Starts an egress process. `identities` collects what it is handed, for the next one; it ends with this process. */
export function runEgress(plan: EgressPlan, identities: Map<string, string>, log: Log): EgressRun {
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc', plan.descriptor, ...heldDescriptors(plan)],
    cwd: '/',
  });
  const output = new Output();
  output.read(child.stdout, (line) => log('info', line));
  output.read(child.stderr, (line) => log('warn', line));
  const ended = endOf(child, output);
  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (message) => {
      if (!isMessage<FromEgress>(message)) return;
      if (message.type === 'ready') resolve();
      else if (message.type === 'identity') {
        if (message.text === null) identities.delete(message.name);
        else identities.set(message.name, message.text);
      }
    });
    ended.then((how) => reject(new Error(`the egress process ended at its start: ${how}`)));
  });
  ready.catch(() => {});
  const start: EgressStart = {
    type: 'start',
    token: plan.token,
    folder: plan.folder,
    trust: plan.trust,
    identities: Object.fromEntries(identities),
    relays: relaysOf(plan),
    dns: plan.dns,
    secrets: plan.secrets,
  };
  // A process that ended before it could be told, or was never there, is reported by `ended`.
  if (child.connected) child.send(start, () => {});
  return {
    pid: child.pid ?? null,
    ready,
    ended,
    terminate: () => child.kill('SIGTERM'),
    kill: () => child.kill('SIGKILL'),
    // It shows no metrics.
    tellRestarts: () => {},
    change: async (next) => {
      const { promise: changed, resolve } = Promise.withResolvers<void>();
      const hear = (message: unknown): void => {
        if (isMessage<FromEgress>(message) && message.type === 'changed') resolve();
      };
      child.on('message', hear);
      const change: EgressChange = { type: 'change', relays: relaysOf(next), secrets: next.secrets };
      if (child.connected) child.send(change, () => {});
      await Promise.race([changed, ended]);
      child.off('message', hear);
    },
  };
}

/** Those the process inherits beside its own, in the order in which its relays take them. */
export function heldDescriptors({ relays }: EgressPlan): readonly number[] {
  return relays.flatMap(({ at }) => (typeof at === 'number' ? [at] : []));
}

function relaysOf({ relays }: EgressPlan): EgressStart['relays'] {
  return relays.map(({ at, host, port, proxy }) => ({ path: typeof at === 'string' ? at : null, host, port, proxy }));
}
