import { messageOf } from '../../shared/thrown.ts';

/** Where the store says what nobody who called it could be told. */
export type StoreLog = (level: 'info' | 'warn' | 'error', message: string) => void;

/** Something done again and again in the background. */
export interface Outage {
  failed(error: unknown): void;
  worked(): void;
}

/** Says once that it fails, with the reason, and once that it works again. `what` begins the sentence. */
export function outage(log: StoreLog, what: string): Outage {
  let failing = false;
  return {
    failed(error) {
      if (failing) return;
      failing = true;
      log('error', `${what} fails and is tried again: ${messageOf(error)}`);
    },
    worked() {
      if (failing) log('info', `${what} works again`);
      failing = false;
    },
  };
}
