import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { COUNTER_SHARDS, type RedisQuestion } from '../../durable/state-messages.ts';
import type { RedisServer } from '../../redis/client.ts';
import type { Counters } from '../runtime/services.ts';
import { LeasedCounters } from './leased-counters.ts';
import type { AskState } from './node-state.ts';

/** Milliseconds the node has to answer beyond what Redis has. */
const HOP = 500;

/** Counters of the whole node. */
export function nodeCounters(ask: AskState): Counters {
  return new LeasedCounters(COUNTER_SHARDS, (shard, question) => ask(`counters/${shard}`, question));
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
