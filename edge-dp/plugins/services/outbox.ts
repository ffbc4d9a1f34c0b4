import { OUTBOX, type Parcel, packedQuestion } from '../../durable/outbox-messages.ts';
import type { Delivery, QueueOptions } from '../runtime/services.ts';
import type { AskState } from './node-state.ts';

/** A batch of a queue that could not be sent while a request lasted. */
interface LeftOver extends Pick<Parcel, 'entries' | 'since'> {
  readonly name: string;
  readonly options: QueueOptions;
  readonly delivery: Delivery;
}

/** Gives batches to the node's outbox. Throws `ServiceError` when that does not answer. */
export function keepInOutbox(ask: AskState): (batch: LeftOver) => Promise<void> {
  return async ({ name, options, ...rest }) => {
    const { initial_retry_delay, max_retry_delay, max_retry_time } = options;
    const parcel = { ...rest, queue: name, retries: { initial_retry_delay, max_retry_delay, max_retry_time } };
    await ask(OUTBOX, packedQuestion(parcel));
  };
}
