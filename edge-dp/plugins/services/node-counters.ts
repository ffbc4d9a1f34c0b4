import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { CLUSTER_COUNTER_SHARDS, COUNTER_SHARDS, type RedisQuestion } from '../../durable/state-messages.ts';
import type { RedisServer } from '../../redis/client.ts';
import type { Counters, Scope } from '../runtime/services.ts';
import { LeasedCounters } from './leased-counters.ts';
import type { AskState } from './node-state.ts';

/** Milliseconds the node has to answer beyond what Redis has. */
const HOP = 500;

/** Counters of the whole node, and of all data planes. */
export function nodeCounters(ask: AskState): Counters {
  const own = new LeasedCounters(COUNTER_SHARDS, (shard, question) => ask(`counters/${shard}`, question));
  const all = new LeasedCounters(CLUSTER_COUNTER_SHARDS, (shard, question) =>
    ask(`cluster_counters/${shard}`, question),
  );
  const of = (scope: Scope): LeasedCounters => (scope === 'cluster' ? all : own);
  return {
    take: (windows, amount, scope) => of(scope).take(windows, amount),
    add: (windows, amount, scope) => of(scope).add(windows, amount),
    usage: (windows, scope) => of(scope).usage(windows),
  };
}

/** Counters in a Redis, asked for by the node's one keeper of the connection to it. */
export function redisCounters(ask: AskState, server: RedisServer, syncRate: number | null): Counters {
  const settings = { server, syncRate };
  const name = bytesToHex(sha256(utf8ToBytes(JSON.stringify(settings)))).slice(0, 32);
  // To connect, to introduce itself, and for the answer.
  const patience = server.timeout * 3 + HOP;
  return new LeasedCounters(1, (_shard, question) => {
    const whole: RedisQuestion = { ...question, ...settings };
    return ask(`redis/${name}`, whole, patience);
  });
}
