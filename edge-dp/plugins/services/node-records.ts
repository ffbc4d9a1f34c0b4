import { mustBeRecord, type Row } from '../../../shared/record.ts';
import type { RecordQuestion, SharedQuestion } from '../../durable/state-messages.ts';
import type { Records } from '../runtime/services.ts';
import type { AskState } from './node-state.ts';

/** How a keeper of records is asked. */
type AskRecords = (question: RecordQuestion) => Promise<unknown>;

/** The node's own keeper of a collection. */
export function ofTheNode(ask: AskState, collection: string): AskRecords {
  return (question) => ask(`records/${encodeURIComponent(collection)}`, question);
}

/** The node's keeper of what all data planes share. */
export function ofTheCluster(ask: AskState, collection: string): AskRecords {
  return (question) => ask('cluster', { ask: 'record', collection, question } satisfies SharedQuestion);
}

/** Records that others of the node, or of the cluster, see too. */
export class NodeRecords implements Records {
  readonly #ask: AskRecords;

  constructor(ask: AskRecords) {
    this.#ask = ask;
  }

  async get(key: string): Promise<unknown> {
    return (await this.#question({ does: 'get', key })).value ?? null;
  }

  async put(key: string, value: unknown, ttl: number, secrets?: Readonly<Row>): Promise<void> {
    await this.#question({ does: 'put', key, value, ttl, ...(secrets !== undefined && { secrets }) });
  }

  async add(key: string, value: unknown, ttl: number): Promise<boolean> {
    return (await this.#question({ does: 'add', key, value, ttl })).added === true;
  }

  async take(key: string): Promise<unknown> {
    return (await this.#question({ does: 'take', key })).value ?? null;
  }

  async delete(key: string): Promise<void> {
    await this.#question({ does: 'delete', key });
  }

  async #question(question: RecordQuestion): Promise<Readonly<Row>> {
    return mustBeRecord(await this.#ask(question), 'the answer about records');
  }
}
