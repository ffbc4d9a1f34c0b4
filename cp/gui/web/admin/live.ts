import { type QueryClient, useQueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import { type Propagation, propagated } from '../overview/propagation.ts';
import { ADMIN } from './address.ts';
import { read } from './client.ts';

/** Kinds of events, and which queries what they tell of may have changed. */
const TOUCHED: Readonly<Record<string, readonly string[]>> = {
  change: ['entities', 'cluster', 'releases', 'workspaces'],
  published: ['cluster'],
  node: ['cluster'],
  release: ['releases', 'cluster'],
  trouble: ['cluster'],
  hello: [],
  missed: ['entities', 'cluster', 'releases', 'workspaces'],
};

/** Milliseconds for which events are gathered before anything is read again: many writes in a row are one. */
const GATHERED = 250;
/** Milliseconds until a stream that was refused is asked for again. */
const REFUSED = 10_000;

interface Live {
  /** Events come in: nothing needs to be asked again and again. */
  readonly connected: boolean;
  readonly changes: readonly Propagation[];
}

let live: Live = { connected: false, changes: [] };
const listeners = new Set<() => void>();

function set(next: Partial<Live>): void {
  live = { ...live, ...next };
  for (const listener of listeners) listener();
}

/** Milliseconds until something is read again by itself: seldom, while events tell when to. */
export const liveInterval = (otherwise: number) => (): number =>
  live.connected ? Math.max(otherwise, 30_000) : otherwise;

export function useLive(): Live {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => live,
  );
}

/** Has what is shown read again when the control plane tells that it is another, as long as the page is looked at. */
export function useLiveEvents(): void {
  const client = useQueryClient();
  useEffect(() => {
    let close = document.hidden ? null : follow(client);
    const look = () => {
      // A browser has few connections for one server: a page that nobody sees holds none.
      if (document.hidden) {
        close?.();
        close = null;
      } else if (close === null) {
        close = follow(client);
        void client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'information' });
      }
    };
    document.addEventListener('visibilitychange', look);
    return () => {
      document.removeEventListener('visibilitychange', look);
      close?.();
    };
  }, [client]);
}

function follow(client: QueryClient): () => void {
  let source: EventSource;
  let again: ReturnType<typeof setTimeout> | undefined;
  let gathering: ReturnType<typeof setTimeout> | undefined;
  const touched = new Set<string>();
  const gather = (keys: readonly string[]) => {
    for (const key of keys) touched.add(key);
    if (touched.size === 0) return;
    gathering ??= setTimeout(() => {
      gathering = undefined;
      const found = new Set(touched);
      touched.clear();
      void client.invalidateQueries({ predicate: ({ queryKey }) => found.has(String(queryKey[0])) });
    }, GATHERED);
  };
  const open = () => {
    source = new EventSource(`${ADMIN}/events`, { withCredentials: true });
    for (const [kind, keys] of Object.entries(TOUCHED)) {
      source.addEventListener(kind, ({ data }) => {
        const told: unknown = JSON.parse(data);
        set({ connected: true, changes: propagated(live.changes, kind, told) });
        gather(keys);
      });
    }
    source.onerror = () => {
      set({ connected: false });
      // Whether all of the control plane is gone is seen at once, not when something is read next.
      void read('/').catch(() => undefined);
      // One that broke off is taken up again by the browser; one that was refused is not.
      if (source.readyState === EventSource.CLOSED) again = setTimeout(open, REFUSED);
    };
  };
  open();
  return () => {
    clearTimeout(again);
    clearTimeout(gathering);
    source.close();
    set({ connected: false });
  };
}
