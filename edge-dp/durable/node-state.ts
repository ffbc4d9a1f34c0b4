import { DurableObject } from 'cloudflare:workers';
import type { Count } from '../../shared/cluster/counts.ts';
import { mustBeRecord } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Env } from '../env.ts';
import { NOTICE } from '../notice.ts';
import type { Delivery, Services } from '../plugins/runtime/services.ts';
import { connectService } from '../plugins/services/connect.ts';
import { deliver } from '../plugins/services/deliver.ts';
import { droppedSample } from '../plugins/services/dropped-entries.ts';
import { fetchService } from '../plugins/services/fetch.ts';
import { hostServices } from '../plugins/services/host-services.ts';
import { askNode } from '../plugins/services/node-state.ts';
import { createEgress } from '../proxy/create.ts';
import { internet } from '../proxy/egress/internet.ts';
import { responseMemory } from '../settings.ts';
import { TelemetryKeeper } from '../telemetry/keeper.ts';
import { TelemetrySender } from '../telemetry/sender.ts';
import { ClusterCounters, compareOverLink } from './cluster-counters.ts';
import { ClusterKeeper } from './cluster-keeper.ts';
import { linkName } from './cluster-link.ts';
import { ColoSums } from './colo-sums.ts';
import { telemetryEndpoints } from './control-planes.ts';
import { CounterLedger } from './counter-ledger.ts';
import { KeptRecords } from './kept-records.ts';
import { MetricKeeper } from './metric-keeper.ts';
import { Outbox } from './outbox.ts';
import { OUTBOX, parseOutboxQuestion } from './outbox-messages.ts';
import { RedisCounters } from './redis-counters.ts';
import { ResponseKeeper } from './response-keeper.ts';
import {
  COLO_SUMS,
  COUNTER_SHARDS,
  METRICS,
  type MetricsQuestion,
  parseCounterQuestion,
  parseRecordQuestion,
  parseRedisQuestion,
  parseResponseQuestion,
  parseSharedQuestion,
  RESPONSES,
  TELEMETRY,
} from './state-messages.ts';

/**
 * The Durable Object that keeps what plugins share across a node's isolates: one for each shard of counters, which live in
 * memory as Kong's do, one for each shard of those all data planes share, one for each Redis that is counted in, one for each
 * collection of records, which live on disk, one for what all data planes share, one for what queues could not send, and, in memory, one
 * for the copies of answers, one for what Prometheus is told, one for what control planes are told of requests, and one for each of
 * Cloudflare's data centers that adds up for these two what is counted there.
 */
export class NodeState extends DurableObject<Env> {
  readonly #ledger = new CounterLedger((most) => this.#forgetting(most));
  #forgettingSaid = false;
  readonly #records: KeptRecords;
  /** Made by the first question: the other instances keep no answers. */
  #responses: ResponseKeeper | null = null;
  readonly #shared: ClusterKeeper;
  readonly #redis: RedisCounters;
  readonly #clusterCounters: ClusterCounters;
  readonly #metrics = new MetricKeeper((message) => console.warn(message));
  readonly #outbox: Outbox;
  readonly #telemetry: TelemetryKeeper;
  readonly #coloSums: ColoSums;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.#records = new KeptRecords(state.storage);
    this.#shared = new ClusterKeeper(state, env);
    this.#clusterCounters = new ClusterCounters({
      compare: comparesOver(env),
      later: (work) => state.waitUntil(work),
      log: (level, message) => console[level](message),
    });
    this.#redis = new RedisCounters(connectOf(env), (work) => state.waitUntil(work));
    this.#telemetry = telemetryKeeper(state, env);
    this.#coloSums = coloSums(state, env);
    this.#outbox = new Outbox({
      storage: state.storage,
      send: sendOf(env),
      log: (level, message) => console[level](message),
      dropped: (...lost) => state.waitUntil(countDropped(env, ...lost)),
    });
  }

  override async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, , kind] = pathname.split('/');
    try {
      if (kind === RESPONSES) return await this.#answerOfResponses(request, searchParams.get('key') ?? '');
      const body: unknown = await request.json();
      if (kind === 'cluster') return Response.json(await this.#shared.answer(parseSharedQuestion(body)));
      if (kind === 'counters') return Response.json(this.#ledger.answer(parseCounterQuestion(body), Date.now()));
      if (kind === 'cluster_counters') return Response.json(this.#clusterCounters.answer(parseCounterQuestion(body)));
      if (kind === METRICS) return Response.json(this.#metrics.answer(mustBeRecord(body, 'the question')));
      if (kind === TELEMETRY)
        return Response.json(this.#telemetry.answer(mustBeRecord(body, 'the question'), Date.now()));
      if (kind === COLO_SUMS)
        return Response.json(this.#coloSums.answer(mustBeRecord(body, 'the question'), Date.now()));
      if (kind === OUTBOX) return Response.json(await this.#outbox.answer(parseOutboxQuestion(body), Date.now()));
      if (kind === 'redis') return Response.json(await this.#redis.answer(parseRedisQuestion(body)));
      return Response.json(await this.#records.answer(parseRecordQuestion(body), Date.now()));
    } catch (error) {
      return new Response(messageOf(error), { status: error instanceof TypeError ? 400 : 503 });
    }
  }

  #forgetting(most: number): void {
    if (this.#forgettingSaid) return;
    this.#forgettingSaid = true;
    console.warn(
      `more than ${most} counters in one of ${COUNTER_SHARDS} parts: those used longest ago start at 0 again`,
    );
  }

  async #answerOfResponses(request: Request, key: string): Promise<Response> {
    this.#responses ??= new ResponseKeeper(this.ctx.storage, responseMemory(this.env.SETTINGS.proxy));
    const responses = this.#responses;
    await responses.restore();
    switch (request.method) {
      case 'GET': {
        const packed = responses.get(key);
        return packed === null ? new Response('no such response', { status: 404 }) : new Response(packed);
      }
      case 'PUT':
        responses.put(new Uint8Array(await request.arrayBuffer()));
        return new Response(null, { status: 204 });
      default:
        return Response.json(await responses.answer(parseResponseQuestion(await request.json()), Date.now()));
    }
  }

  override async alarm(): Promise<void> {
    if (this.#telemetry.isHere) await this.#telemetry.alarm(Date.now());
    else if (this.#coloSums.isHere) await this.#coloSums.alarm(Date.now());
    else if (await this.#shared.isHere()) await this.#shared.alarm(Date.now());
    else if (await this.#outbox.isHere()) await this.#outbox.alarm(Date.now());
    else await this.#records.sweep(Date.now());
  }
}

/** Null: there is no control plane to compare with. */
function comparesOver(env: Env) {
  const { LINK } = env;
  if (LINK === undefined || env.SETTINGS.controlPlanes === 0) return null;
  const owner = LINK.get(LINK.idFromName(linkName(env)));
  return (ledger: string, counts: readonly Count[]) => compareOverLink(owner, ledger, counts);
}

function connectOf({ TUNNEL, NETWORK }: Env): Services['connect'] {
  return TUNNEL === undefined ? connectService(NETWORK ?? internet) : hostServices(TUNNEL).connect;
}

/** Requests of plugins, made here: by the ways they have in isolates. */
function sendOf({ TUNNEL, NETWORK, OUTWARD, SETTINGS }: Env): (delivery: Delivery) => Promise<void> {
  const egress = createEgress({ network: NETWORK ?? internet, egress: TUNNEL, outward: OUTWARD });
  const fetch = fetchService(egress, SETTINGS.proxy.ownTrust ?? false);
  return (delivery) => deliver(fetch, delivery);
}

function telemetryKeeper(state: DurableObjectState, env: Env): TelemetryKeeper {
  const node = env.SETTINGS.node.id;
  return new TelemetryKeeper({
    node,
    sender: new TelemetrySender({ node, endpoints: telemetryEndpoints(env), prove: proveOver(env) }),
    wakeAt: (time) => state.waitUntil(state.storage.setAlarm(time)),
    later: (work) => state.waitUntil(work),
    log(level, message) {
      if (level === 'notice') console.info(NOTICE + message);
      else console[level](message);
    },
  });
}

function coloSums(state: DurableObjectState, { NODE }: Env): ColoSums {
  const ask = askNode(NODE);
  return new ColoSums({
    pass: async (keeper, samples) => void (await ask(keeper, { does: 'add', samples })),
    wakeAt: (time) => state.waitUntil(state.storage.setAlarm(time)),
    later: (work) => state.waitUntil(work),
    warn: (message) => console.warn(message),
  });
}

/** By the owner of the link, who has the node's key. */
function proveOver({ LINK, SETTINGS }: Env): (nonce: string, challenge: string) => Promise<string> {
  return async (nonce, challenge) => {
    if (LINK === undefined) throw new Error('the link of this node is owned by another process');
    const owner = LINK.get(LINK.idFromName(SETTINGS.node.id));
    const body = JSON.stringify({ nonce, challenge });
    const answer = await owner.fetch('http://node/proofs', { method: 'POST', body });
    if (answer.status !== 200)
      throw new Error(`the owner of the link answered ${answer.status} ${await answer.text()}`);
    return String(mustBeRecord(await answer.json(), 'the answer').proof);
  };
}

async function countDropped(
  { NODE }: Env,
  ...[queue, reason, entries]: Parameters<typeof droppedSample>
): Promise<void> {
  const samples = droppedSample(queue, reason, entries);
  try {
    await askNode(NODE)(METRICS, { does: 'add', samples } satisfies MetricsQuestion);
  } catch (error) {
    console.warn(`outbox: what was dropped could not be counted: ${messageOf(error)}`);
  }
}
