/** What a binding's `fetch` was given as a request: the same one where it is one, since not all that are can be copied. */
export function requestOf(input: Request | string | URL, init?: RequestInit): Request {
  return input instanceof Request && init === undefined ? input : new Request(input, init);
}
