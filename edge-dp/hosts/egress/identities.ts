import { createHash } from 'node:crypto';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { messageOf } from '../../../shared/thrown.ts';
import { NODE_TRUST, type TlsIdentity, type UpstreamTls } from '../../proxy/egress/protocol.ts';
import type { TrustOptions } from '../options.ts';
import { EgressError } from './failure.ts';

/** A TLS identity ready for use. */
export interface LoadedIdentity {
  readonly name: string;
  readonly verify: boolean;
  readonly verifyDepth: number | null;
  readonly context: SecureContext;
}

/** The TLS identities this process was handed, by name. */
export class Identities {
  readonly #known = new Map<string, LoadedIdentity>();
  readonly #publicCas = onDemand(publicCas);

  readonly #plugins: () => LoadedIdentity;

  /** `trust`: null for the public CAs. Throws when a certificate cannot be read. */
  constructor(trust: TrustOptions | null) {
    this.#plugins = trust === null ? this.#publicCas : nodeTrust(trust);
  }

  /** What connections of plugins' own are verified by where they name no CAs (`lua_ssl_trusted_certificate`). */
  get plugins(): LoadedIdentity {
    return this.#plugins();
  }

  /** Takes what was PUT. Throws `bad_request` when the name is not the text's, or it holds no usable PEM. */
  add(name: string, text: string): void {
    if (createHash('sha256').update(text).digest('hex') !== name) {
      throw new EgressError('bad_request', false, `TLS identity ${name}: the name is not the SHA-256 of the body`);
    }
    try {
      this.#known.set(name, loaded(name, JSON.parse(text)));
    } catch (error) {
      const reason = messageOf(error);
      throw new EgressError('bad_request', false, `TLS identity ${name}: ${reason}`);
    }
  }

  /** The identity of that name; null means the public CAs. Throws `unknown_identity`. */
  get(name: string | null): LoadedIdentity {
    if (name === null) return this.#publicCas();
    if (name === NODE_TRUST) return this.plugins;
    const identity = this.#known.get(name);
    if (identity === undefined) {
      throw new EgressError('unknown_identity', false, `TLS identity ${name} was not handed over`);
    }
    return identity;
  }
}

/**
 * Identities by what a service asks of TLS, for a host that is not handed them: the same object is loaded once. `trust`: what is asked
 * to be verified by the node's own CAs; null: by the public ones.
 */
export function loadedIdentities(trust: TrustOptions | null = null): (tls: UpstreamTls) => LoadedIdentity {
  const plugins = trust === null ? onDemand(publicCas) : nodeTrust(trust);
  const byTls = new WeakMap<UpstreamTls, LoadedIdentity>();
  const byText = new Map<string, LoadedIdentity>();
  return (tls) => {
    const known = byTls.get(tls);
    if (known !== undefined) return known;
    if (tls.trust === 'node' && tls.verify === true) return plugins();
    const { verify, verifyDepth, ca, certificate } = tls;
    const text = JSON.stringify([verify === true, verifyDepth, ca, certificate]);
    const name = createHash('sha256').update(text).digest('hex');
    let identity = byText.get(name);
    if (identity === undefined) {
      identity = loaded(name, { verify: verify === true, verifyDepth, ca: ca.length === 0 ? null : ca, certificate });
      if (byText.size >= MOST_KEPT) byText.clear();
      byText.set(name, identity);
    }
    byTls.set(tls, identity);
    return identity;
  };
}

/** Identities of configs that are gone are not kept for ever. */
const MOST_KEPT = 10_000;

function loaded(name: string, { verify, verifyDepth, ca, certificate }: TlsIdentity): LoadedIdentity {
  const context = createSecureContext({
    ...(ca !== null && { ca: [...ca] }),
    ...(certificate !== null && { cert: certificate.cert, key: certificate.key }),
  });
  return { name, verify, verifyDepth, context };
}

/** Throws what is wrong with a certificate: at once where some are named, since that is to be known at the start. */
function nodeTrust({ publicCas: withPublic, certificates }: TrustOptions): () => LoadedIdentity {
  const load = (): LoadedIdentity => {
    const ca = [...(withPublic ? rootCertificates : []), ...certificates];
    return { name: NODE_TRUST, verify: true, verifyDepth: null, context: createSecureContext({ ca }) };
  };
  if (certificates.length === 0) return onDemand(load);
  const identity = load();
  return () => identity;
}

/** The public CAs are many, and a process that starts has other things to read. */
function onDemand(load: () => LoadedIdentity): () => LoadedIdentity {
  let identity: LoadedIdentity | null = null;
  return () => {
    identity ??= load();
    return identity;
  };
}

function publicCas(): LoadedIdentity {
  return { name: 'public', verify: true, verifyDepth: null, context: createSecureContext() };
}
