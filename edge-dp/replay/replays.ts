import { pluginMismatch } from '../../shared/cluster/compatibility.ts';
import type { FromDataPlane, ReplayMessage } from '../../shared/cluster/messages.ts';
import { parseShape, type RequestShape } from '../../shared/cluster/replay.ts';
import type { Row } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { CurrentConfig, Held } from '../config/current.ts';
import { type ObjectOrigin, ObjectUnavailable } from '../config/objects.ts';
import type { Env } from '../env.ts';
import { abandonPlans } from '../plugins/runtime/settle-plans.ts';
import { Comparison } from './compare.ts';
import { figuresOf } from './figures.ts';

/** Milliseconds a candidate is kept for the next requests of a replay. */
const PATIENCE = 15_000;

interface ReplaysOptions {
  readonly env: Env;
  readonly current: CurrentConfig;
  /** Where objects of the candidate are had from. */
  readonly origins: () => readonly ObjectOrigin[];
  /** What this node belongs to, by what it holds and was told. */
  readonly membership: () => { readonly cluster: string | null; readonly group: string };
  /** The requests this node remembers. */
  readonly sample: () => readonly RequestShape[];
  readonly send: (message: FromDataPlane) => void;
}

/** A candidate beside what this node serves. */
interface Trial {
  /** The replay it is for. */
  readonly run: string;
  readonly base: Held;
  readonly candidate: Held;
  readonly comparison: Comparison;
}

/** Why a replay cannot be, with the status that says so. */
class NoReplay extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Runs requests over a candidate for this node's config and over what it serves, and tells which would meet something else. Nothing
 * is sent, no plugin runs, and the candidate is never served. One replay at a time; its requests come in several orders.
 */
export class Replays {
  readonly #options: ReplaysOptions;
  /** A replay is under way. */
  #run: string | null = null;
  #trial: Trial | null = null;
  #working = false;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(options: ReplaysOptions) {
    this.#options = options;
  }

  /** Answers the order. Never throws. */
  async answer(order: ReplayMessage): Promise<void> {
    const { id } = order;
    const { send } = this.#options;
    try {
      send({ type: 'explained', id, status: 200, body: await this.#replay(order) });
    } catch (error) {
      const status = error instanceof NoReplay ? error.status : 500;
      send({ type: 'explained', id, status, body: { message: messageOf(error).slice(0, 2_000).toWellFormed() } });
    }
  }

  async #replay(order: ReplayMessage): Promise<Row> {
    if (this.#working || (this.#run !== null && this.#run !== order.run)) {
      throw new NoReplay(409, 'another replay is under way on the data plane: try again when it is over');
    }
    this.#working = true;
    this.#run = order.run;
    let done = order.last;
    try {
      this.#trial ??= await this.#begin(order);
      const { base, comparison } = this.#trial;
      // The same config may come again, under another serial.
      if (this.#options.current.held?.live.configHash !== base.live.configHash) {
        throw new NoReplay(409, 'the data plane was given another config meanwhile: replay again');
      }
      const figures = await figuresOf(comparison, shapesOf(order) ?? this.#options.sample(), order.list);
      const { serial, configHash } = base.live;
      return { ...figures, serial, config_hash: configHash };
    } catch (error) {
      done = true;
      throw error;
    } finally {
      this.#working = false;
      if (done) this.#end();
      else this.#wait();
    }
  }

  async #begin({ run, candidate: { split: _whole, ...manifest } }: ReplayMessage): Promise<Trial> {
    const { env, current, origins, membership } = this.#options;
    const { cluster, group } = membership();
    if (cluster !== null && manifest.cluster !== cluster) {
      throw new NoReplay(409, `the candidate is of cluster ${manifest.cluster}, the data plane of cluster ${cluster}`);
    }
    if (manifest.group !== group) {
      throw new NoReplay(409, `the candidate is for group '${manifest.group}', the data plane is of group '${group}'`);
    }
    const mismatch = pluginMismatch(current.gateway.plugins, manifest.plugins);
    if (mismatch !== null) throw new NoReplay(409, `the data plane would refuse it: ${mismatch}`);
    const base = current.held;
    if (base === null) throw new NoReplay(503, 'the data plane has no config yet');
    if (base.live.configHash === manifest.config_hash) {
      throw new NoReplay(409, 'the data plane serves this config already: there is nothing to compare it with');
    }
    const candidate = await current
      .build(env, { manifest, verified: null, source: 'control_plane', origins: origins() })
      .catch((error: unknown) => {
        if (error instanceof ObjectUnavailable) throw new NoReplay(503, messageOf(error));
        throw new NoReplay(409, `the data plane would refuse it: ${messageOf(error)}`);
      });
    return { run, base, candidate, comparison: new Comparison(base.path, candidate.path) };
  }

  #wait(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#working) this.#wait();
      else this.#end();
    }, PATIENCE);
  }

  /** Lets go of the candidate, and of that alone. */
  #end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#run = null;
    const trial = this.#trial;
    this.#trial = null;
    if (trial === null) return;
    const { base, candidate } = trial;
    abandonPlans(candidate.path.plans, [...base.path.plans, ...(base.trial?.path.plans ?? [])]);
  }
}

function shapesOf({ requests }: ReplayMessage): readonly RequestShape[] | null {
  return requests?.map((one, at) => parseShape(one, `requests[${at}]`)) ?? null;
}
