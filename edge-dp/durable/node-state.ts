import { DurableObject } from 'cloudflare:workers';
import { messageOf } from '../../shared/thrown.ts';
import type { Env } from '../env.ts';
import { CounterLedger } from './counter-ledger.ts';
import { KeptRecords } from './kept-records.ts';
import { COUNTER_SHARDS, parseCounterQuestion, parseRecordQuestion } from './state-messages.ts';

/**
 * The Durable Object that keeps what plugins share across a node's isolates: one for each shard of counters, which live in
 * memory as Kong's do, and one for each collection of records, which live on disk.
 */
export class NodeState extends DurableObject<Env> {
  readonly #ledger = new CounterLedger((most) => this.#forgetting(most));
  #forgettingSaid = false;
  readonly #records: KeptRecords;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.#records = new KeptRecords(state.storage);
  }

  override async fetch(request: Request): Promise<Response> {
    const [, , kind] = new URL(request.url).pathname.split('/');
    try {
      const body: unknown = await request.json();
      if (kind === 'counters') return Response.json(this.#ledger.answer(parseCounterQuestion(body), Date.now()));
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

  override async alarm(): Promise<void> {
    await this.#records.sweep(Date.now());
  }
}
