import { mustBeRecord, type Row } from '../../../shared/record.ts';
import type { RecordQuestion } from '../../durable/state-messages.ts';
import type { Records } from '../runtime/services.ts';
import type { AskState } from './node-state.ts';

/** Records of the whole node. */
export class NodeRecords implements Records {
  readonly #ask: AskState;
  readonly #path: string;

  constructor(ask: AskState, collection: string) {
    this.#ask = ask;
    this.#path = `records/${encodeURIComponent(collection)}`;
  }

  async get(key: string): Promise<unknown> {
    return (await this.#question({ does: 'get', key })).value ?? null;
  }

  async put(key: string, value: unknown, ttl: number): Promise<void> {
    await this.#question({ does: 'put', key, value, ttl });
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
    return mustBeRecord(await this.#ask(this.#path, question), 'the answer about records');
  }
}
