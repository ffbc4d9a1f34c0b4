import { randomUUID } from 'node:crypto';
import { integer, nullable, ShapeError, string } from '../../shared/bundle/shape.ts';
import type { Explained, ReplayMessage } from '../../shared/cluster/messages.ts';
import {
  MOST_DIFFERING,
  packShape,
  parseReplayFigures,
  REPLAY_ASPECTS,
  type ReplayFigures,
  type RequestShape,
} from '../../shared/cluster/replay.ts';
import type { Replay, ReplayOutcome } from '../admin/cluster/cluster-view.ts';
import type { NodeSession } from './session.ts';

/** Bytes of requests in one order, which may have 256 KB in base64, the candidate's manifest included. */
const BATCH = 128 << 10;
/** Milliseconds for all of a replay, and for one answer: the first one includes fetching and compiling the candidate. */
const WHOLE = 120_000;
const ANSWER = 45_000;

type Ask = (
  session: NodeSession,
  order: Omit<ReplayMessage, 'id'>,
  patience: number,
) => Promise<Pick<Explained, 'status' | 'body'> | null>;

/** Has a data plane of the candidate's group run requests over it, part by part. Nothing of it is ever served. */
export async function replayOn(connected: Iterable<NodeSession>, replay: Replay, ask: Ask): Promise<ReplayOutcome> {
  const { candidate, requests, list } = replay;
  const session = chosen(connected, replay);
  if (session === undefined) return { outcome: 'disconnected' };
  const { id, hostname } = session.node;
  const run = randomUUID();
  const until = Date.now() + WHOLE;
  let figures: ReplayFigures = NOTHING;
  let compared: { serial: number | null; configHash: string | null } = { serial: null, configHash: null };
  let done = 0;
  for (const { part, last } of requests === null ? [{ part: null, last: true }] : batches(requests)) {
    const patience = Math.min(ANSWER, until - Date.now());
    const rest = Math.min(MOST_DIFFERING, list - figures.differing.length);
    const order = { type: 'replay', run, candidate, requests: part?.map(packShape) ?? null, list: rest, last } as const;
    const answer = patience <= 0 ? null : await ask(session, order, patience);
    if (answer === null) return { outcome: 'silent', hostname, done };
    const { status, body } = answer;
    if (status !== 200) {
      const message = typeof body.message === 'string' ? body.message : `it answered ${status}`;
      return { outcome: 'refused', hostname, status, message };
    }
    try {
      const count = part === null ? null : part.reduce((sum, one) => sum + one.count, 0);
      figures = together(figures, parseReplayFigures(body, count, rest));
      compared = {
        serial: nullable(body.serial, 'replay.serial', integer),
        configHash: nullable(body.config_hash, 'replay.config_hash', string),
      };
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      return { outcome: 'refused', hostname, status: 502, message: `it answered what is no result: ${error.message}` };
    }
    done += part?.length ?? 0;
  }
  return { outcome: 'done', node: { id, hostname }, figures, ...compared };
}

/** One that does not serve the candidate, of those with the newest config. */
function chosen(connected: Iterable<NodeSession>, { candidate, node }: Replay): NodeSession | undefined {
  const has = ({ record }: NodeSession): number => (record.config_hash === candidate.config_hash ? 1 : 0);
  return [...connected]
    .filter(({ group }) => group === candidate.group)
    .filter((one) => node === null || one.node.id === node || one.node.hostname === node)
    .toSorted((a, b) => has(a) - has(b) || (b.record.serial ?? 0) - (a.record.serial ?? 0))[0];
}

interface Batch {
  readonly part: readonly RequestShape[];
  readonly last: boolean;
}

function* batches(requests: readonly RequestShape[]): Generator<Batch> {
  let part: RequestShape[] = [];
  let size = 0;
  for (const shape of requests) {
    const length = Buffer.byteLength(JSON.stringify(packShape(shape))) + 1;
    if (part.length > 0 && size + length > BATCH) {
      yield { part, last: false };
      [part, size] = [[], 0];
    }
    part.push(shape);
    size += length;
  }
  yield { part, last: true };
}

const NOTHING: ReplayFigures = {
  requests: 0,
  changed: 0,
  changes: { route: 0, service: 0, upstream: 0, plugins: 0, status: 0 },
  unsure: 0,
  differing: [],
};

function together(a: ReplayFigures, b: ReplayFigures): ReplayFigures {
  const changes = { ...a.changes };
  for (const aspect of REPLAY_ASPECTS) changes[aspect] += b.changes[aspect];
  return {
    requests: a.requests + b.requests,
    changed: a.changed + b.changed,
    changes,
    unsure: a.unsure + b.unsure,
    differing: [...a.differing, ...b.differing],
  };
}
