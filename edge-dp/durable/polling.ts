import { LIMITS } from '../../shared/bundle/format.ts';
import { json, object, string } from '../../shared/bundle/shape.ts';
import type { FromDataPlane } from '../../shared/cluster/messages.ts';
import { SESSION_HEADER } from '../../shared/cluster/node-proof.ts';
import { textAtMost } from '../http/at-most.ts';
import type { ControlPlane } from './control-planes.ts';

/** Seconds the control plane may hold a question open. */
const WAIT = 25;
/** Bytes of an answer: a manifest, and what little stands around it. */
const LONGEST_ANSWER = 2 * LIMITS.manifest;
/** Bytes of any other answer. */
const LONGEST_REPLY = 4_000;
/** Milliseconds beyond that before it counts as gone. */
const ANSWER_TIMEOUT = 10_000;

/** The plain HTTPS form of the link, see `shared/cluster/messages.ts`. Every method throws when it gets no answer. */
export class Polling {
  readonly #plane: ControlPlane;
  readonly #node: string;
  readonly #greet: (challenge: string | null) => Promise<readonly FromDataPlane[]>;
  #greeted = false;
  /** What shows that it is the sender of the hello who speaks. */
  #session: string | null = null;
  #etag: string | null = null;
  readonly #end = new AbortController();

  constructor(
    plane: ControlPlane,
    nodeId: string,
    greet: (challenge: string | null) => Promise<readonly FromDataPlane[]>,
  ) {
    this.#plane = plane;
    this.#node = `node=${encodeURIComponent(nodeId)}`;
    this.#greet = greet;
  }

  async say(message: FromDataPlane): Promise<void> {
    const response = await this.#plane.fetch(`/v1/status?${this.#node}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.#sessionHeader() },
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(ANSWER_TIMEOUT),
    });
    const text = await textAtMost(response, LONGEST_REPLY).catch(() => '');
    if (!response.ok) throw new Error(`the status was answered with ${response.status} ${text}`);
    if (message.type === 'hello' && response.status === 200) this.#session = memberOf(text, 'session');
  }

  /** A message of the control plane as JSON text, or null when nothing changed within `wait` seconds. */
  async ask(wait: number = WAIT): Promise<string | null> {
    if (!this.#greeted) {
      for (const message of await this.#greet(await this.#challenge())) await this.say(message);
      this.#greeted = true;
    }
    const response = await this.#plane.fetch(`/v1/manifest?${this.#node}&wait=${wait}`, {
      headers: { ...this.#sessionHeader(), ...(this.#etag === null ? {} : { 'if-none-match': this.#etag }) },
      signal: AbortSignal.any([this.#end.signal, AbortSignal.timeout(wait * 1000 + ANSWER_TIMEOUT)]),
    });
    if (response.status === 304) return null;
    if (response.status !== 200 && response.status !== 409) {
      throw new Error(`the question for the manifest was answered with ${response.status}`);
    }
    const text = await textAtMost(response, LONGEST_ANSWER);
    // A message other than the manifest has none, and leaves the manifest as it was.
    this.#etag = response.headers.get('etag') ?? this.#etag;
    return text;
  }

  /** Nobody waits for the answer any more. */
  close(): void {
    this.#end.abort(new Error('polling was given up'));
  }

  /** Null from a control plane of a version that asks for no proof. */
  async #challenge(): Promise<string | null> {
    const response = await this.#plane.fetch('/v1/challenge', { signal: AbortSignal.timeout(ANSWER_TIMEOUT) });
    const text = await textAtMost(response, LONGEST_REPLY);
    return response.status === 200 ? memberOf(text, 'challenge') : null;
  }

  #sessionHeader(): Record<string, string> {
    return this.#session === null ? {} : { [SESSION_HEADER]: this.#session };
  }
}

function memberOf(text: string, name: string): string {
  return string(object(json(text, 'the answer'), 'the answer')[name], name);
}
