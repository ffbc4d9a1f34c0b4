import { createHash } from 'node:crypto';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { messageOf } from '../../../shared/thrown.ts';
import { IDENTITY_LET_GO, NODE_TRUST, type TlsIdentity, type UpstreamTls } from '../../proxy/egress/protocol.ts';
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
  readonly #known = new Map<string, { readonly identity: LoadedIdentity; usedAt: number }>();
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

  /**
   * Takes what was PUT; gives the names of those that are let go of for not having been used for long: keys of certificates that were
   * replaced are not kept. Throws `bad_request` when the name is not the text's, or it holds no usable PEM.
   */
  add(name: string, text: string): readonly string[] {
    if (createHash('sha256').update(text).digest('hex') !== name) {
      throw new EgressError('bad_request', false, `TLS identity ${name}: the name is not the SHA-256 of the body`);
    }
    try {
      const identity = this.#known.get(name)?.identity ?? loaded(name, JSON.parse(text));
      this.#known.set(name, { identity, usedAt: Date.now() });
    } catch (error) {
      const reason = messageOf(error);
      throw new EgressError('bad_request', false, `TLS identity ${name}: ${reason}`);
    }
    return unused(this.#known);
  }

  /** The identity of that name; null means the public CAs. Throws `unknown_identity`. */
  get(name: string | null): LoadedIdentity {
    if (name === null) return this.#publicCas();
    if (name === NODE_TRUST) return this.plugins;
    const known = this.#known.get(name);
    if (known === undefined) {
      throw new EgressError('unknown_identity', false, `TLS identity ${name} was not handed over`);
    }
    known.usedAt = Date.now();
    return known.identity;
  }
}

/** Takes out of a map what was not used for long, and gives its keys. */
function unused(known: Map<string, { readonly usedAt: number }>): readonly string[] {
  const before = Date.now() - IDENTITY_LET_GO;
  const names = [...known].filter(([, { usedAt }]) => usedAt < before).map(([name]) => name);
  for (const name of names) known.delete(name);
  return names;
}

/**
 * Identities by what a service asks of TLS, for a host that is not handed them: the same object is loaded once. `trust`: what is asked
 * to be verified by the node's own CAs; null: by the public ones.
 */
export function loadedIdentities(trust: TrustOptions | null = null): (tls: UpstreamTls) => LoadedIdentity {
  const plugins = trust === null ? onDemand(publicCas) : nodeTrust(trust);
  const byTls = new WeakMap<UpstreamTls, LoadedIdentity>();
  /** Only until an object was met that asks the same: those that are in use hold theirs. */
  const byText = new Map<string, { readonly identity: LoadedIdentity; readonly usedAt: number }>();
  return (tls) => {
    const known = byTls.get(tls);
    if (known !== undefined) return known;
    if (tls.trust === 'node' && tls.verify === true) return plugins();
    const { verify, verifyDepth, ca, certificate } = tls;
    const text = JSON.stringify([verify === true, verifyDepth, ca, certificate]);
    const name = createHash('sha256').update(text).digest('hex');
    const identity =
      byText.get(name)?.identity ??
      loaded(name, { verify: verify === true, verifyDepth, ca: ca.length === 0 ? null : ca, certificate });
    byText.set(name, { identity, usedAt: Date.now() });
    unused(byText);
    byTls.set(tls, identity);
    return identity;
  };
}

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
