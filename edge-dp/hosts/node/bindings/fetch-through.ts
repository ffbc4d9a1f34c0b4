import type * as Undici from 'undici';

/** A request over connections of its own. */
type FetchThrough = (url: string, init?: object) => Promise<Response>;

/**
 * Requests over the connections that `open` gives, made with the first of them. undici is read only then: that takes a twentieth of a second of
 * a process's start, and 14 MB, and most processes send nothing this way. Its own fetch is that of Node, with types of its own: this is the one
 * place where both meet.
 */
export function fetchThrough(open: (undici: typeof Undici) => Undici.Dispatcher): FetchThrough {
  let opened: Promise<FetchThrough> | null = null;
  const begin = async (): Promise<FetchThrough> => {
    const undici = await import('undici');
    const dispatcher = open(undici);
    return async (url, init = {}) =>
      (await undici.fetch(url, { ...init, dispatcher } as object)) as unknown as Response;
  };
  return async (url, init) => {
    opened ??= begin().catch((error: unknown) => {
      // Such as for want of file handles: the next finds out anew.
      opened = null;
      throw error;
    });
    return (await opened)(url, init);
  };
}
