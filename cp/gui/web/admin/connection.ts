import { useSyncExternalStore } from 'react';

/** Whether the control plane answers. */
export interface Connection {
  /** When it was noticed that it does not, in milliseconds since 1970; null while it does. */
  readonly lostAt: number | null;
  /** When it last answered. */
  readonly answeredAt: number | null;
}

let connection: Connection = { lostAt: null, answeredAt: null };
const listeners = new Set<() => void>();

/** A request was answered, with whatever status. */
export function answered(): void {
  const wasLost = connection.lostAt !== null;
  connection = { lostAt: null, answeredAt: Date.now() };
  if (wasLost) tell();
}

/** A request got no answer. */
export function lost(): void {
  if (connection.lostAt !== null) return;
  connection = { ...connection, lostAt: Date.now() };
  tell();
}

export function useConnection(): Connection {
  return useSyncExternalStore(subscribe, () => connection);
}

function tell(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
