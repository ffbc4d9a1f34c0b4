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
  const seen = new Map(all.map((rival) => [rival, [] as (Load & { readonly micros: number })[]]));
  for (let round = 0; round < rounds; round++) {
    for (const rival of all) {
      const before = processorTime(rival.child.pid ?? 0);
      const measured = await load(rival.ports[way] ?? 0, path, optionsOf(rival));
      const used = processorTime(rival.child.pid ?? 0) - before;
      seen.get(rival)?.push({ ...measured, micros: (used * 1000) / measured.requests });
    }
    const rates = all.map((rival) => `${rival.name} ${rate(seen.get(rival)?.at(-1)).toFixed(0)}`);
    say(`  ${scenario}, round ${round + 1}: ${rates.join(', ')} requests/s`);
  }
  const mine = figuresOf(seen.get(ours) ?? []);
  const others = all.slice(1).map((rival) => {
    const figures = figuresOf(seen.get(rival) ?? []);
    const ratio = median((seen.get(rival) ?? []).map((each, round) => rate(seen.get(ours)?.[round]) / rate(each)));
    return [rival.name, { ...figures, ratio, microsRatio: figures.micros / mine.micros }] as const;
  });
  return { scenario, ...mine, rivals: Object.fromEntries(others) };
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

function figuresOf(loads: readonly (Load & { readonly micros: number })[]): Figures {
  const micros = loads.map((each) => each.micros).sort((a, b) => a - b);
  return {
    rps: median(loads.map(rate)),
    p50: median(loads.map(({ p50 }) => p50)),
    p99: median(loads.map(({ p99 }) => p99)),
    micros: micros[Math.floor(micros.length / 4)] ?? Number.NaN,
    errors: loads.reduce((sum, { errors }) => sum + errors, 0),
  };
}
