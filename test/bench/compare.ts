import { processorTime } from '../proc.ts';
import { type Load, type LoadOptions, load, median, rate, say } from './processes.ts';
import type { Rival, Way } from './rival.ts';

/** Medians of the rounds of one of those that are compared. */
interface Figures {
  readonly rps: number;
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of processor time for one request; the lower quartile, which other work on the machine disturbs least. */
  readonly micros: number;
  readonly errors: number;
}

export interface Measured extends Figures {
  readonly scenario: string;
  /** By name. */
  readonly rivals: Readonly<Record<string, Figures & { readonly ratio: number; readonly microsRatio: number }>>;
}

export interface Compared {
  readonly scenario: string;
  readonly path: string;
  readonly headers?: readonly string[];
  readonly lines?: string | undefined;
  /** Plain when absent. */
  readonly way?: Way;
}

/** Requests before it is measured: what is compiled meanwhile is no part of what a request costs. */
const WARMING = 20_000;
const LONGEST_WARMING = 6;

const warm = new Map<number | undefined, Set<string>>();

/** Rounds alternate between all of them, so that they share the machine's good and bad times. Rivals have neither plugins nor headers for them. */
export async function compare(
  { scenario, path, headers = [], lines, way = 'plain' }: Compared,
  ours: Rival,
  rivals: readonly Rival[],
  { connections, seconds, rounds }: { readonly connections: number; readonly seconds: number; readonly rounds: number },
): Promise<Measured> {
  const all = [ours, ...rivals.filter(({ ports }) => ports[way] !== undefined)];
  const optionsOf = (rival: Rival): LoadOptions =>
    rival === ours ? { connections, seconds, headers, lines, way } : { connections, seconds, way };
  for (const rival of all) await warmUp(rival, path, optionsOf(rival), rival === ours ? `${way} ${path}` : way);
  const loads = all.map((rival) => ({
    name: rival.name,
    pid: rival.child.pid,
    load: () => load(rival.ports[way] ?? 0, path, optionsOf(rival)),
  }));
  const [own = [], ...theirs] = await alternate(scenario, loads, rounds);
  const mine = figuresOf(own);
  const others = theirs.map((timed, place) => {
    const figures = figuresOf(timed);
    const ratio = median(timed.map((each, round) => rate(own[round]) / rate(each)));
    return [all[place + 1]?.name ?? '', { ...figures, ratio, microsRatio: figures.micros / mine.micros }] as const;
  });
  return { scenario, ...mine, rivals: Object.fromEntries(others) };
}

/** A load, and the microseconds of processor time each of its requests took. */
type Timed = Load & { readonly micros: number };

/** What is loaded in turn with others. */
interface Turn {
  readonly name: string;
  readonly pid: number | undefined;
  load(): Promise<Load>;
}

/** Loads all of them, one after the other, as often as there are rounds: for each what its rounds came to. */
export async function alternate(scenario: string, turns: readonly Turn[], rounds: number): Promise<Timed[][]> {
  const seen: Timed[][] = turns.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [place, { pid = 0, load }] of turns.entries()) {
      const before = processorTime(pid);
      const measured = await load();
      const used = processorTime(pid) - before;
      seen[place]?.push({ ...measured, micros: (used * 1000) / measured.requests });
    }
    const rates = turns.map(({ name }, place) => `${name} ${rate(seen[place]?.at(-1)).toFixed(0)}`);
    say(`  ${scenario}, round ${round + 1}: ${rates.join(', ')} requests/s`);
  }
  return seen;
}

async function warmUp(rival: Rival, path: string, options: LoadOptions, what: string): Promise<void> {
  const { pid } = rival.child;
  const known = warm.get(pid) ?? new Set();
  if (known.has(what)) return;
  warm.set(pid, known.add(what));
  let sent = 0;
  for (let second = 0; second < LONGEST_WARMING && sent < WARMING; second++)
    sent += (await load(rival.ports[options.way ?? 'plain'] ?? 0, path, { ...options, seconds: 1 })).requests;
}

export function figuresOf(loads: readonly Timed[]): Figures {
  const micros = loads.map((each) => each.micros).sort((a, b) => a - b);
  return {
    rps: median(loads.map(rate)),
    p50: median(loads.map(({ p50 }) => p50)),
    p99: median(loads.map(({ p99 }) => p99)),
    micros: micros[Math.floor(micros.length / 4)] ?? Number.NaN,
    errors: loads.reduce((sum, { errors }) => sum + errors, 0),
  };
}
