import { spawn } from 'node:child_process';
import { moduleFile } from '../module-file.ts';
import { isMessage } from '../supervision/message.ts';
import { endOf, type Log, Output, type Run } from '../supervision/run.ts';
import type { EgressOptions, EgressStart, FromEgress } from './messages.ts';
import type { RelayTarget } from './relay.ts';

/** Where an egress process serves. Descriptors are the caller's. */
export interface EgressPlan extends Pick<EgressOptions, 'token' | 'folder' | 'dns' | 'trust' | 'secrets'> {
  /** Listening socket the Workers reach it on. */
  readonly descriptor: number;
  readonly relays: readonly RelayPlan[];
}

/** Raw TCP from a listening socket onwards. */
interface RelayPlan extends RelayTarget {
  readonly descriptor: number;
}

const MAIN = moduleFile('./main', import.meta.url);

/** Starts an egress process. `identities` collects what it is handed, for the next one; it ends with this process. */
export function runEgress(plan: EgressPlan, identities: Map<string, string>, log: Log): Run {
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc', plan.descriptor, ...plan.relays.map(({ descriptor }) => descriptor)],
    cwd: '/',
  });
  const output = new Output();
  if (child.stdout !== null) output.read(child.stdout, (line) => log('info', line));
  if (child.stderr !== null) output.read(child.stderr, (line) => log('warn', line));
  const ended = endOf(child, output);
  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (message) => {
      if (!isMessage<FromEgress>(message)) return;
      if (message.type === 'ready') resolve();
      else identities.set(message.name, message.text);
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
    relays: plan.relays.map(({ host, port, proxy }) => ({ host, port, proxy })),
    dns: plan.dns,
    secrets: plan.secrets,
  };
  // A process that ended before it could be told is reported by `ended`.
  child.send(start, () => {});
  return {
    pid: child.pid ?? -1,
    ready,
    ended,
    terminate: () => child.kill('SIGTERM'),
    kill: () => child.kill('SIGKILL'),
    // It shows no metrics.
    tellRestarts: () => {},
  };
}
