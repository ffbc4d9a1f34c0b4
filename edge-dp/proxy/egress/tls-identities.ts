import type { UpstreamTls } from './egress.ts';
import { EGRESS_ORIGIN, NODE_TRUST, type TlsIdentity } from './protocol.ts';

/** TLS identities by content, handed to the egress process when first used. */
export class TlsIdentities {
  readonly #egress: Pick<Fetcher, 'fetch'>;
  readonly #names = new Map<string, Promise<string>>();
  /** Texts by what they tell: a config has the same object for each request of a service. Null where nothing is asked. */
  readonly #texts = new WeakMap<UpstreamTls, string | null>();

  constructor(egress: Pick<Fetcher, 'fetch'>) {
    this.#egress = egress;
  }

  async nameOf(tls: UpstreamTls): Promise<string | null> {
    if (tls.trust === 'node' && tls.verify === true) return NODE_TRUST;
    let text = this.#texts.get(tls);
    if (text === undefined) {
      text = textOf(tls);
      this.#texts.set(tls, text);
    }
    if (text === null) return null;
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    const handed = this.#hand(text);
    this.#names.set(text, handed);
    handed.catch(() => this.#names.delete(text));
    return handed;
  }

  forget(name: string): void {
    for (const [text, known] of this.#names) {
      void known.then((value) => value === name && this.#names.delete(text)).catch(() => undefined);
    }
  }

  async #hand(text: string): Promise<string> {
    const bytes = new TextEncoder().encode(text);
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const name = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    const answer = await this.#egress.fetch(`${EGRESS_ORIGIN}/identities/${name}`, { method: 'PUT', body: bytes });
    await answer.body?.cancel();
    if (answer.status !== 204) throw new Error(`the egress process refused a TLS identity (${answer.status})`);
    return name;
  }
}

/** Null for what the egress process does unasked. */
function textOf({ verify, verifyDepth, ca, certificate }: UpstreamTls): string | null {
  if (verify === true && verifyDepth === null && ca.length === 0 && certificate === null) return null;
  const identity: TlsIdentity = {
    verify: verify === true,
    verifyDepth,
    ca: ca.length === 0 ? null : ca,
    certificate,
  };
  return JSON.stringify(identity);
}
