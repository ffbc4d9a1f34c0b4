import type { AdminNumbers } from './admin.ts';
import type { Measured } from './compare.ts';
import type { ConsumerFigures, ConsumersOnHost } from './consumers.ts';
import { machine } from './cores.ts';
import type { FleetFigures } from './fleet.ts';
import type { Memory } from './memory.ts';
import type { Sustained } from './sustained.ts';

interface Results {
  readonly measured: readonly Measured[];
  readonly sustained: readonly Sustained[];
  readonly memory: readonly Memory[];
  readonly delays: Readonly<Record<string, number>>;
  readonly administration: readonly AdminNumbers[];
}

/** One control plane with so many links, a column each. */
export function fleetTable(figures: readonly FleetFigures[]): string {
  const row = (name: string, show: (figure: FleetFigures) => string): string[] => [name, ...figures.map(show)];
  const whole = (value: number): string => Math.round(value).toLocaleString('en');
  const rows = [
    row('all new ones joined, s', ({ joined }) => whole(joined / 1000)),
    row('memory without links, with them, after a restart, MB', ({ memory: { none, all, after } }) =>
      [none, all, after].map(whole).join(', '),
    ),
    row('processor time in a minute at rest, ms', ({ rest }) => whole(rest)),
    row('a change: from the answer to a data plane, p50, p99, the last, ms', ({ change: { p50, p99, last } }) =>
      [p50, p99, last].map(whole).join(', '),
    ),
    row('a change: until `GET /wait` answers, ms', ({ known }) => whole(known)),
    row('a change: processor time of the control plane, ms', ({ work }) => whole(work)),
    row('all back after it was killed, s', ({ storm: { back } }) => whole(back / 1000)),
    row('processor time for that, ms', ({ storm: { work } }) => whole(work)),
  ];
  return `${table(['data planes', ...figures.map(({ links }) => whole(links))], rows)}\n`;
}

/** One control plane with so many consumers, a column each. */
export function consumersTable(figures: readonly ConsumerFigures[]): string {
  const row = (name: string, show: (figure: ConsumerFigures) => string): string[] => [name, ...figures.map(show)];
  const hosts = figures[0]?.hosts.map(({ host }) => host) ?? [];
  const ofHost = (name: string, show: (on: ConsumersOnHost) => string): string[][] =>
    hosts.map((host, place) =>
      row(`${host}: ${name}`, ({ hosts: all }) => {
        const on = all[place];
        return on === undefined ? '' : show(on);
      }),
    );
  const whole = (value: number): string => Math.round(value).toLocaleString('en');
  const rows = [
    row('import of the first, the last 50,000, s', ({ imported }) => imported.map(whole).join(', ')),
    row('processor time of that, ms', ({ parts }) => parts.map(whole).join(', ')),
    row('control plane: before, at most, then, started anew, MB', ({ memory }) => memory.map(whole).join(', ')),
    row('control plane: start, s; processor time of it, ms', ({ restart }) =>
      [restart.seconds, restart.work].map(whole).join(', '),
    ),
    row('a new key: processor time of the control plane, ms', ({ change }) => whole(change.work)),
    ...ofHost('a new key: from its answer to a request, ms', ({ change }) => whole(change)),
    ...ofHost('from the import to a request, s', ({ served }) => whole(served / 1000)),
    ...ofHost('before, then, with 1,000 keys read, MB', ({ memory }) => memory.map(whole).join(', ')),
    ...ofHost('a key read first, p50, p99, ms', ({ first }) => `${first.p50.toFixed(1)}, ${first.p99.toFixed(1)}`),
    ...ofHost('once more, p50, p99, ms', ({ again }) => `${again.p50.toFixed(1)}, ${again.p99.toFixed(1)}`),
  ];
  return `${table(['consumers, each with a key', ...figures.map(({ consumers }) => whole(consumers))], rows)}\n`;
}

/** The results as tables of Markdown, those that have rows. */
export function tables(
  { measured, sustained, memory, delays, administration }: Results,
  how: { readonly connections: number; readonly rounds: number; readonly seconds: number; readonly sustained: string },
): string {
  const rivals = [...new Set(measured.flatMap((each) => Object.keys(each.rivals)))];
  const all = [
    table(
      [
        'scenario',
        'requests/s',
        'µs a request',
        ...rivals.flatMap((name) => [`of ${name}`, `µs, ${name} / ours`]),
        'p50 ms',
        'p99 ms',
        'errors',
      ],
      measured.map(({ scenario, rps, micros, p50, p99, errors, rivals: theirs }) => [
        scenario,
        rps.toFixed(0),
        micros.toFixed(1),
        ...rivals.flatMap((name) => [theirs[name]?.ratio.toFixed(2) ?? '', theirs[name]?.microsRatio.toFixed(2) ?? '']),
        p50.toFixed(2),
        p99.toFixed(1),
        String(errors),
      ]),
    ),
    table(
      [
        `sustained, ${how.sustained} s`,
        'requests/s',
        'p50 ms',
        'p99.9 ms',
        'longest gap ms',
        'MB before, at most, behind',
        'errors',
      ],
      sustained.map(({ gateway, rps, p50, p999, longestGap, memory, errors }) => [
        gateway,
        rps.toFixed(0),
        p50.toFixed(2),
        p999.toFixed(0),
        longestGap.toFixed(0),
        memory.join(', '),
        String(errors),
      ]),
    ),
    table(
      ['all processes of the gateway', 'MB before', 'at most', 'behind'],
      memory.map(({ scenario, before, most, behind }) => [scenario, String(before), String(most), String(behind)]),
    ),
    table(
      ["from the Admin API's answer", 'median ms'],
      Object.entries(delays).map(([name, ms]) => [name, ms.toFixed(0)]),
    ),
    table(
      ['Admin API', 'database', 'requests/s or seconds', 'bare', 'ratio', 'errors'],
      administration.map(({ scenario, driver, ours, bare, ratio, errors }) => [
        scenario,
        driver,
        ours.toFixed(1),
        bare.toFixed(1),
        ratio.toFixed(2),
        String(errors),
      ]),
    ),
  ];
  const { connections, rounds, seconds } = how;
  return `\n${machine()}\n${connections} connections, medians of ${rounds} rounds of ${seconds} s\n${all.join('')}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  return `\n${[head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')}`;
}
