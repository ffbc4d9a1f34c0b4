import { LIMITS } from '../../shared/bundle/format.ts';
import type { FromDataPlane } from '../../shared/cluster/messages.ts';
import { type ControlPlane, textAtMost } from './control-planes.ts';

/** Seconds the control plane may hold a question open. */
const WAIT = 25;
/** Bytes of an answer: a manifest, and what little stands around it. */
const LONGEST_ANSWER = 2 * LIMITS.manifest;
/** Milliseconds beyond that before it counts as gone. */
const ANSWER_TIMEOUT = 10_000;

/** The plain HTTPS form of the link, see `shared/cluster/messages.ts`. Every method throws when it gets no answer. */
export class Polling {
  readonly #plane: ControlPlane;
  readonly #node: string;
  #greeting: readonly FromDataPlane[];
  #etag: string | null = null;

  constructor(plane: ControlPlane, nodeId: string, greeting: readonly FromDataPlane[]) {
    this.#plane = plane;
    this.#node = `node=${encodeURIComponent(nodeId)}`;
    this.#greeting = greeting;
  }

  async say(message: FromDataPlane): Promise<void> {
    const response = await this.#plane.fetch(`/v1/status?${this.#node}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(ANSWER_TIMEOUT),
    });
    if (!response.ok) throw new Error(`the status was answered with ${response.status}`);
    await response.body?.cancel();
  }

  /** A message of the control plane as JSON text, or null when nothing changed within `wait` seconds. */
  async ask(wait: number = WAIT): Promise<string | null> {
    for (const message of this.#greeting) await this.say(message);
    this.#greeting = [];
    const response = await this.#plane.fetch(`/v1/manifest?${this.#node}&wait=${wait}`, {
      headers: this.#etag === null ? {} : { 'if-none-match': this.#etag },
      signal: AbortSignal.timeout(wait * 1000 + ANSWER_TIMEOUT),
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
}
