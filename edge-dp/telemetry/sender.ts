import { json, object, string } from '../../shared/bundle/shape.ts';
import { SESSION_HEADER } from '../../shared/cluster/node-proof.ts';
import { SENT_AT_HEADER, TELEMETRY_PATHS } from '../../shared/telemetry/messages.ts';
import { messageOf } from '../../shared/thrown.ts';
import { textAtMost } from '../http/at-most.ts';

/** Milliseconds for an answer. */
const TIMEOUT = 10_000;
/** Bytes of one. */
const LONGEST_ANSWER = 4_000;

/** A telemetry port: `path` is what follows the host. */
export interface TelemetryEndpoint {
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

interface SenderOptions {
  readonly node: string;
  /** In order of preference. */
  readonly endpoints: readonly TelemetryEndpoint[];
  /** Shows that the one who speaks has the node's key, by a challenge. */
  readonly prove: (nonce: string, challenge: string) => Promise<string>;
}

/** Brings batches to a control plane, and to the next one when that does not take them. */
export class TelemetrySender {
  readonly #options: SenderOptions;
  #place = 0;
  /** By which the control plane there knows this node. */
  #session: string | null = null;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Null: it is kept. A text: it never will be, for that reason. Throws when nobody takes it now. */
  async send(batch: Uint8Array<ArrayBuffer>): Promise<string | null> {
    const { endpoints } = this.#options;
    const reasons: string[] = [];
    for (let tried = 0; tried < endpoints.length; tried++) {
      const endpoint = endpoints[this.#place];
      if (endpoint === undefined) break;
      try {
        return await this.#sendTo(endpoint, batch);
      } catch (error) {
        reasons.push(messageOf(error));
        this.#session = null;
        this.#place = (this.#place + 1) % endpoints.length;
      }
    }
    throw new Error([...new Set(reasons)].join('; ') || 'there is none');
  }

  async #sendTo(endpoint: TelemetryEndpoint, batch: Uint8Array<ArrayBuffer>): Promise<string | null> {
    const known = this.#session !== null;
    this.#session ??= await this.#begin(endpoint);
    let answer = await this.#post(endpoint, batch, this.#session);
    if (answer.status === 401 && known) {
      // It was started again since. What it says of that is read by nobody.
      await answer.body?.cancel();
      this.#session = await this.#begin(endpoint);
      answer = await this.#post(endpoint, batch, this.#session);
    }
    const text = await textAtMost(answer, LONGEST_ANSWER).catch(() => '');
    if (answer.status === 200) return null;
    if (answer.status === 400 || answer.status === 413) return text;
    throw new Error(`it answered ${answer.status} ${text}`);
  }

  #post(endpoint: TelemetryEndpoint, body: Uint8Array<ArrayBuffer>, session: string): Promise<Response> {
    return endpoint.fetch(`${TELEMETRY_PATHS.metrics}?node=${this.#options.node}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-protobuf',
        'content-encoding': 'gzip',
        [SESSION_HEADER]: session,
        [SENT_AT_HEADER]: String(Date.now()),
      },
      body,
      signal: AbortSignal.timeout(TIMEOUT),
    });
  }

  async #begin(endpoint: TelemetryEndpoint): Promise<string> {
    const { node, prove } = this.#options;
    const challenge = await read(endpoint, TELEMETRY_PATHS.challenge, 'challenge');
    const nonce = crypto.randomUUID();
    const proof = await prove(nonce, challenge);
    return read(endpoint, `${TELEMETRY_PATHS.session}?node=${node}`, 'session', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ nonce, proof }),
    });
  }
}

async function read(
  endpoint: TelemetryEndpoint,
  path: string,
  member: string,
  init: RequestInit = {},
): Promise<string> {
  const answer = await endpoint.fetch(path, { ...init, signal: AbortSignal.timeout(TIMEOUT) });
  const text = await textAtMost(answer, LONGEST_ANSWER);
  if (answer.status !== 200) throw new Error(`it answered ${answer.status} ${text}`);
  return string(object(json(text, 'the answer'), 'the answer')[member], member);
}
