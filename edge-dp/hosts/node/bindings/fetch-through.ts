import { type Dispatcher, fetch } from 'undici';

/** A request over the connections of `dispatcher`. undici's own fetch is that of Node, with types of its own: the one place where both meet. */
export async function fetchThrough(dispatcher: Dispatcher, url: string, init: object = {}): Promise<Response> {
  return (await fetch(url, { ...init, dispatcher } as object)) as unknown as Response;
}
