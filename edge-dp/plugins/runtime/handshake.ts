import type { ClientAddress } from '../../../shared/client-address.ts';
import type { Authorities } from './authorities.ts';
import type { Slots } from './slot.ts';

/** A client that has begun TLS and was answered nothing yet: as plugins see it in their phase `certificate`. */
export interface TlsHandshake {
  /** 32 lower-case hex digits; of no request that follows. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** By the PROXY protocol where the peer is one of `trusted_ips`. */
  readonly client: ClientAddress;
  /** What will be spoken within: HTTP, or what is none. */
  readonly protocol: 'https' | 'tls';
  /** What the client asks for by SNI; null: nothing. */
  readonly serverName: string | null;
  /** Of the listener. */
  readonly localPort: number;
  readonly terms: TlsTerms;
  /** There are none before TLS. */
  readonly route: null;
  readonly service: null;
  readonly workspace: string;
  readonly identity: { readonly consumer: null };
  /** What plugins tell each other in this phase (`kong.ctx.shared`). */
  readonly shared: Map<string, unknown>;
  readonly slots: Slots;
  /** Whom certificates may be signed by, as the config has them. */
  readonly authorities: Authorities;
  /** Work that goes on after it. */
  waitUntil(work: Promise<unknown>): void;
}

/** How the handshake goes on. */
export interface TlsTerms {
  /**
   * The client is asked for a certificate, which it need not have. `ca`: PEM of the authorities that it is told and that its
   * certificate is checked by; it is served whatever comes of that. Null: as the listener's settings say.
   */
  asked: { readonly ca: string } | null;
  /** The session may be taken up again later. */
  resumable: boolean;
}
