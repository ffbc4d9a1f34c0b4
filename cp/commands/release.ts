import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRecord, mustBeRecord, type Row } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { notRunning } from '../instance/instance.ts';
import { type Command, CommandError, type Invocation, settingsFor, unknownAction } from './command.ts';
import { print, printChanges, textOf } from './print-changes.ts';
import { DIFFERENT, REQUEST_OPTIONS, replay } from './replay.ts';
import { AdminRefusal, instanceAdmin, type RunningAdmin } from './running-admin.ts';

const ORDERS = ['promote', 'pause', 'resume', 'abort', 'rollback'] as const;
const ACTIONS = [...['create', 'pending', 'list', 'show', 'diff', 'config', 'replay', 'watch'], ...ORDERS];

/** Milliseconds between looks. */
const PAUSE = 500;
/** Milliseconds for which whoever watches asks again where nobody answers: a control plane that is started again is back by then. */
const PATIENCE = 60_000;

/** Releases of groups, through a control plane that runs. */
export const release: Command = {
  summary: `releases of groups of data planes: ${ACTIONS.join(', ')}`,
  forms: {
    'create GROUP': 'release what is pending',
    'pending GROUP': 'what is written and not released',
    'list [GROUP]': 'all releases, the newest first',
    'show ID': 'one of them, what it changes, and the writes it is from',
    'diff ID ID': 'what is different in the second one',
    'config ID': 'what it had, as a declarative document, secrets included',
    'replay ID': 'which requests would meet something else with it, without sending any',
    'replay --pending GROUP': 'the same of what is written and not released',
    'watch ID': 'tell where it is until it is over; fails when it was undone',
    'promote|pause|resume|abort ID': 'move it on, hold it, let it go on, undo it',
    'rollback ID': 'give the group what that release had',
  },
  options: {
    at: { takes: 'TIME', text: 'create: when to begin, in seconds since 1970 or as in 2030-01-31T08:00:00Z' },
    strategy: { takes: 'JSON', text: 'create: the rings, as /releases takes them' },
    seen: {
      takes: 'HASH',
      text: "create: only what was pending then, by the config_hash of 'release pending'",
    },
    ...REQUEST_OPTIONS,
    requests: {
      takes: 'FILE',
      text: 'replay: a list of requests, a HAR or an access log; without it those that data planes remember',
    },
    pending: { takes: 'GROUP', text: 'replay: what is pending for that group, in the place of a release' },
    'data-plane': { takes: 'NAME', text: 'replay: id or hostname of the one that is asked' },
    ring: {
      takes: 'N',
      text: 'promote, pause, resume, abort: only where it is still at that ring, so that two who promote at once move it once; 0 for at none yet',
    },
    watch: { text: 'create, promote, resume and rollback: then watch it' },
  },
  examples: [
    'holdfast release pending eu',
    `holdfast release create eu --strategy '[{"nodes":{"percent":10},"hold":300}]' --watch`,
    'holdfast release replay --pending eu',
    'holdfast release replay 5b1cf0de-58bd-4aa0-9d4c-3f38cf0a4a3c --requests access.log --host example.com',
    'holdfast release rollback 5b1cf0de-58bd-4aa0-9d4c-3f38cf0a4a3c',
  ],
  exitCodes: { [DIFFERENT]: 'replay: some requests would meet something else' },
  async run(invocation) {
    const [action = '', ...words] = invocation.words;
    if (!ACTIONS.includes(action)) throw unknownAction('release', ACTIONS, action);
    const { settings } = settingsFor(invocation);
    const admin = instanceAdmin(settings, `release ${action}`);
    if (admin === null)
      throw new CommandError(`${notRunning(resolve(settings.prefix))}; releases need a control plane that runs`);
    await act(admin, action, { ...invocation, words });
  },
};

async function act(admin: RunningAdmin, action: string, { words, options }: Invocation): Promise<void> {
  if (action === 'diff') return diff(admin, words);
  if (action === 'replay' && typeof options.pending === 'string') {
    if (words.length > 0) throw new CommandError('release replay takes the id of a release, or --pending', 2);
    return replay(admin, `/groups/${encodeURIComponent(options.pending)}/pending`, options);
  }
  const [word, ...more] = words;
  if (more.length > 0) throw new CommandError(`release ${action} takes one word`, 2);
  if (action === 'list') return list(admin, word);
  if (word === undefined) {
    const what = action === 'create' || action === 'pending' ? 'a group' : "a release's id";
    throw new CommandError(`release ${action} needs ${what}`, 2);
  }
  const path = encodeURIComponent(word);
  switch (action) {
    case 'pending': {
      const { config_hash, data } = await ask(admin, `/groups/${path}/pending`);
      print(`${'config_hash'.padEnd(12)}  ${textOf(config_hash)}`);
      return printChanges(data);
    }
    case 'show': {
      const { changes, writes, ...shown } = await ask(admin, `/releases/${path}`);
      for (const [name, value] of Object.entries(shown)) print(`${name.padEnd(12)}  ${textOf(value)}`);
      for (const { serial, entity, id, operation } of Array.isArray(writes) ? writes.filter(isRecord) : []) {
        print(`${'write'.padEnd(12)}  ${[serial, operation, entity, id].join('  ')}`);
      }
      return printChanges(changes);
    }
    case 'config':
      process.stdout.write(await admin.ask(`/releases/${path}/config`));
      return;
    case 'replay':
      return replay(admin, `/releases/${path}`, options);
    case 'watch':
      return watch(admin, word);
  }
  const made =
    action === 'create'
      ? await ask(admin, '/releases', {
          group: word,
          at: options.at ?? null,
          strategy: strategyIn(options.strategy),
          config_hash: options.seen ?? null,
        })
      : await ask(admin, `/releases/${path}/${action}`, seenAt(action, options.ring));
  print(line(made));
  if (options.watch === true) await watch(admin, String(made.id));
}

async function list(admin: RunningAdmin, group: string | undefined): Promise<void> {
  const query = group === undefined ? '' : `?group=${encodeURIComponent(group)}`;
  const { data } = await ask(admin, `/releases${query}`);
  for (const row of Array.isArray(data) ? data : []) print(line(mustBeRecord(row, 'release')));
}

async function diff(admin: RunningAdmin, words: readonly string[]): Promise<void> {
  const [from, to] = words;
  if (from === undefined || to === undefined || words.length > 2) {
    throw new CommandError('release diff takes the ids of two releases', 2);
  }
  const path = `/releases/${encodeURIComponent(from)}/diff/${encodeURIComponent(to)}`;
  printChanges((await ask(admin, path)).data);
}

/** A line for each thing that changes, until the release is over. */
async function watch(admin: RunningAdmin, id: string): Promise<void> {
  let told = '';
  let seen = '';
  for (;;) {
    const now = await askAgain(admin, `/releases/${encodeURIComponent(id)}`);
    const text = line(now);
    if (text !== told) print(text);
    told = text;
    const gates = gatesOf(now.figures);
    if (gates !== seen && gates !== '') print(gates);
    seen = gates;
    if (now.state === 'aborted') throw new CommandError(`it was undone: ${textOf(now.reason)}`);
    if (now.state === 'live' || now.state === 'replaced' || now.state === 'published') return;
    await sleep(PAUSE);
  }
}

function line({ id, group, state, ring, strategy, serial, at, reason }: Row): string {
  const rings = Array.isArray(strategy) ? strategy.length : 0;
  const where =
    ring === null || ring === undefined ? '' : ` at ring ${String(ring)} of ${rings}${trafficOf(strategy, ring)}`;
  const when = state === 'scheduled' && typeof at === 'number' ? ` for ${new Date(at * 1000).toISOString()}` : '';
  const why = typeof reason === 'string' ? `: ${reason}` : '';
  return `${String(id)}  ${String(group)}  ${String(state)}${where}${when}  serial ${String(serial)}${why}`;
}

/** Asks until there is an answer, for a while. What is refused is refused; 503 is what a control plane answers without its database. */
async function askAgain(admin: RunningAdmin, path: string): Promise<Row> {
  for (let since: number | null = null; ; await sleep(PAUSE)) {
    try {
      return await ask(admin, path);
    } catch (error) {
      if (error instanceof AdminRefusal && error.status !== 503) throw error;
      if (since === null) process.stderr.write(`holdfast: ${messageOf(error)}; asking again\n`);
      since ??= performance.now();
      if (performance.now() - since > PATIENCE) throw error;
    }
  }
}

/** What the gates of its ring see; empty: nothing. */
function gatesOf(figures: unknown): string {
  if (!isRecord(figures)) return '';
  const served = (of: unknown): string => {
    const { requests, status_5xx, latency_p99_ms } = isRecord(of) ? of : {};
    const p99 = typeof latency_p99_ms === 'number' ? `, p99 ${latency_p99_ms} ms` : '';
    return `${String(requests)} requests, ${String(status_5xx)} of them 5xx${p99}`;
  };
  const {
    nodes,
    nodes_serving: serving,
    nodes_unable: unable,
    nodes_gone: gone,
    load_ms: load,
    ring,
    others,
  } = figures;
  const without = Number(unable) > 0 ? `; ${String(unable)} cannot split requests and keep what they have` : '';
  const left = `${typeof load === 'number' ? ` within ${load} ms` : ''}${Number(gone) > 0 ? `, ${String(gone)} left` : ''}`;
  return `  ${String(serving)} of ${String(nodes)} data planes have it${left}: ${served(ring)}; the others: ${served(others)}${without}`;
}

/** For which part of the requests a ring has it; empty: for all. */
function trafficOf(strategy: unknown, ring: unknown): string {
  const current: unknown = Array.isArray(strategy) ? strategy[Number(ring) - 1] : undefined;
  const traffic = isRecord(current) ? current.traffic : undefined;
  return isRecord(traffic) ? ` (${String(traffic.percent)} % of requests by ${String(traffic.by)})` : '';
}

/** What says where a release was seen. */
function seenAt(action: string, ring: unknown): Row {
  if (ring === undefined) return {};
  if (action === 'rollback') throw new CommandError('release rollback takes no --ring: it makes a new release', 2);
  if (typeof ring !== 'string' || !/^\d{1,9}$/.test(ring))
    throw new CommandError(`release ${action} --ring: expected a number`, 2);
  return { ring: Number(ring) === 0 ? null : Number(ring) };
}

function strategyIn(given: unknown): unknown {
  if (typeof given !== 'string') return null;
  try {
    return JSON.parse(given);
  } catch {
    throw new CommandError('release create --strategy: expected JSON, an array of rings', 2);
  }
}

async function ask(admin: RunningAdmin, path: string, body?: Row): Promise<Row> {
  const document = body === undefined ? undefined : { text: JSON.stringify(body), type: 'application/json' };
  return mustBeRecord(JSON.parse(await admin.ask(path, document)), 'the answer');
}
