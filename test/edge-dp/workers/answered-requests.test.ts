import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { FetchRequest } from '../../../edge-dp/http/fetch/request.ts';
import { respond } from '../../../edge-dp/http/fetch/respond.ts';
import { FetchResponse } from '../../../edge-dp/http/fetch/response.ts';
import { type HttpResponse, OwnResponse, streamSource } from '../../../edge-dp/http/messages.ts';

/** What workerd has of its own, made of what there is elsewhere. */
class Identity {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;

  constructor() {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    this.readable = readable;
    this.writable = writable;
  }
}

beforeEach(() => {
  vi.stubGlobal('FixedLengthStream', Identity);
  vi.stubGlobal('IdentityTransformStream', Identity);
  Object.defineProperty(Response.prototype, 'webSocket', { value: null, configurable: true });
});

afterEach(() => {
  vi.unstubAllGlobals();
  Reflect.deleteProperty(Response.prototype, 'webSocket');
});

const bytes = (length: number) => new Uint8Array(length);
/** Longer than what is read ahead. */
const LONG = 64 << 10;

function fetched(body: BodyInit | null, init: ResponseInit = {}): FetchResponse {
  return new FetchResponse(new Response(body, init));
}

function replaced(): FetchResponse {
  const response = fetched('old');
  response.content = 'new';
  return response;
}

function lengthy(length: number): FetchResponse {
  return fetched(bytes(length), { headers: { 'content-length': String(length) } });
}

// A native signal holds who listens to it, and with that the whole request, until a full collection finds the circle.
test.each<[answer: string, respondedWith: () => HttpResponse]>([
  ['a text of its own', () => new OwnResponse(200, 'ok')],
  ['a stream of its own', () => new OwnResponse(200, streamSource(new Blob(['ok']).stream()))],
  ['nothing', () => new OwnResponse(204, null)],
  ['a short body of the upstream', () => lengthy(5)],
  ['a long body of the upstream', () => lengthy(LONG)],
  ['a body of unknown length', () => fetched(bytes(LONG))],
  ['a body that a plugin replaced', replaced],
  ['a status without a body', () => fetched(null, { status: 304 })],
])('lets go of who asked whether the client left, once it is answered with %s', async (_, respondedWith) => {
  for (const watched of [true, false]) {
    const client = new AbortController();
    const native = new Request('http://gateway/', { signal: client.signal });
    const listens = vi.spyOn(native.signal, 'addEventListener');
    const lets = vi.spyOn(native.signal, 'removeEventListener');
    const request = new FetchRequest(native, { version: '1.1', ownConnections: true });
    const left = vi.fn();
    request.onClientLeft(left);
    request.onClientLeft(left);
    const response = respondedWith();
    const ended = vi.fn();
    if (watched) response.onEnd(ended);
    const work: Promise<unknown>[] = [];
    const answer = await respond(request, response, (each) => void work.push(each));
    await answer.arrayBuffer();
    await Promise.all(work);
    expect(ended).toHaveBeenCalledTimes(watched ? 1 : 0);
    const heard = (calls: readonly (readonly unknown[])[]) => calls.filter(([type]) => type === 'abort').length;
    expect(heard(lets.mock.calls)).toBe(heard(listens.mock.calls));
    expect(heard(listens.mock.calls)).toBeGreaterThan(0);
    client.abort();
    expect(left).not.toHaveBeenCalled();
  }
});

test('tells who asked that the client left in the middle of a long body', async () => {
  const client = new AbortController();
  const native = new Request('http://gateway/', { signal: client.signal });
  const request = new FetchRequest(native, { version: '1.1', ownConnections: true });
  const left = vi.fn();
  request.onClientLeft(left);
  const response = fetched(new ReadableStream({ pull: (controller) => controller.enqueue(bytes(1024)) }));
  const ended = vi.fn();
  response.onEnd(ended);
  const work: Promise<unknown>[] = [];
  const answer = await respond(request, response, (each) => void work.push(each));
  const reader = answer.body?.getReader();
  await reader?.read();
  client.abort();
  await Promise.all(work);
  await reader?.cancel().catch(() => undefined);
  expect(left).toHaveBeenCalledOnce();
  expect(ended.mock.calls).toEqual([[{ aborted: true, clientLeft: true }]]);
});

test('tells everybody who asked that the client left before it was answered', () => {
  const client = new AbortController();
  const native = new Request('http://gateway/', { signal: client.signal });
  const request = new FetchRequest(native, { version: '1.1', ownConnections: true });
  const told: number[] = [];
  request.onClientLeft(() => told.push(1));
  request.onClientLeft(() => told.push(2));
  client.abort();
  expect(told).toEqual([1, 2]);
});
