import type { UpstreamTls } from './egress.ts';
import { EGRESS_ORIGIN, IDENTITY_HANDED_ANEW, NODE_TRUST, type TlsIdentity } from './protocol.ts';

interface EgressProcess {
  fetch(url: string, request: { readonly method: string; readonly body: Uint8Array }): Promise<Response>;
}

interface Handed {
  readonly name: Promise<string>;
  /** Milliseconds since the epoch. */
  usedAt: number;
}

/** TLS identities by content, handed to the egress process when first used, and when they were not for a while: it may have let go of them. */
export class TlsIdentities {
  readonly #egress: EgressProcess;
  readonly #names = new Map<string, Handed>();
  /** Texts by what they tell: a config has the same object for each request of a service. Null where nothing is asked. */
  readonly #texts = new WeakMap<UpstreamTls, string | null>();

  constructor(egress: EgressProcess) {
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
    const now = Date.now();
    const known = this.#names.get(text);
    if (known !== undefined && now - known.usedAt < IDENTITY_HANDED_ANEW) {
      known.usedAt = now;
      return known.name;
    }
    this.#letGo(now);
    const handed = { name: this.#hand(text), usedAt: now };
    this.#names.set(text, handed);
    handed.name.catch(() => this.#names.get(text) === handed && this.#names.delete(text));
    return handed.name;
  }

  forget(name: string): void {
    for (const [text, known] of this.#names) {
      void known.name.then((value) => value === name && this.#names.delete(text)).catch(() => undefined);
    }
  }

  /** Keys of certificates that were replaced are not kept. */
  #letGo(now: number): void {
    for (const [text, { usedAt }] of this.#names) {
      if (now - usedAt >= IDENTITY_HANDED_ANEW) this.#names.delete(text);
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
