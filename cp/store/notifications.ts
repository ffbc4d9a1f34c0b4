import type { Database } from './database.ts';
import { outage, type StoreLog } from './outage.ts';

/** Channels of NOTIFY: a commit (its serial), what control planes tell each other, and that shared records or signing keys changed. */
export const CHANNELS = {
  changes: 'holdfast_changes',
  messages: 'holdfast_messages',
  records: 'holdfast_records',
  keys: 'holdfast_keys',
} as const;

type Channel = (typeof CHANNELS)[keyof typeof CHANNELS];

/** Notifications of the database. They are hints: any of them may get lost. */
export interface Notifications {
  /** Calls back with each payload, and with null when connected (again), since some may have been missed until then. */
  subscribe(channel: Channel, callback: (payload: string | null) => void): () => void;
  stop(): Promise<void>;
}

/** Listens, over one connection, from the first subscription on. */
export function notifications(database: Database, log: StoreLog): Notifications {
  const subscribers = new Map<string, Set<(payload: string | null) => void>>(
    Object.values(CHANNELS).map((channel) => [channel, new Set()]),
  );
  let stopListening: (() => Promise<void>) | undefined;
  const tell = (channel: string, payload: string | null): void => {
    for (const callback of [...(subscribers.get(channel) ?? [])]) callback(payload);
  };
  return {
    subscribe(channel, callback) {
      const own = subscribers.get(channel);
      own?.add(callback);
      stopListening ??= database.listen([...subscribers.keys()], {
        message: tell,
        connected: () => {
          for (const each of subscribers.keys()) tell(each, null);
        },
        outage: outage(log, 'listening for changes of the database'),
      });
      return () => void own?.delete(callback);
    },
    async stop() {
      for (const own of subscribers.values()) own.clear();
      await stopListening?.();
    },
  };
}
