import { commandOf, descendants, residentMemory } from '../proc.ts';
import { type Load, load, rate, say } from './processes.ts';

/** What minutes of load do to a process: seconds show neither the long collections nor what gathers between them. */
export interface Sustained {
  readonly gateway: string;
  readonly rps: number;
  readonly p50: number;
  readonly p999: number;
  /** Milliseconds in which nobody was answered. */
  readonly longestGap: number;
  /** MB of the workerd process: before, at most, behind. */
  readonly memory: readonly [before: number, most: number, behind: number];
  readonly errors: number;
}

interface Loaded {
  readonly gateway: string;
  /** The workerd process, or the one that started it. */
  readonly pid: number | undefined;
  readonly port: number;
}

/** Loads each for as long, one after the other. */
export async function measureSustained(
  gateways: readonly Loaded[],
  path: string,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<Sustained[]> {
  const measured: Sustained[] = [];
  for (const { gateway, pid, port } of gateways) {
    say(`  sustained, ${gateway}: ${seconds} s`);
    const workerd = workerdOf(pid);
    const before = megabytes(workerd);
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, megabytes(workerd));
    }, 500);
    let seen: Load;
    try {
      seen = await load(port, path, { connections, seconds });
    } finally {
      clearInterval(watch);
    }
    const { p50, p999, longestGap, errors } = seen;
    measured.push({
      gateway,
      rps: rate(seen),
      p50,
      p999,
      longestGap,
      memory: [before, most, megabytes(workerd)],
      errors,
    });
  }
  return measured;
}

function workerdOf(pid: number | undefined): number {
  if (pid === undefined) return -1;
  return [pid, ...descendants(pid)].find((each) => /^[^\0]*workerd\0serve\0/.test(commandOf(each))) ?? pid;
}

function megabytes(pid: number): number {
  return Math.round(residentMemory(pid) / (1 << 20));
}
