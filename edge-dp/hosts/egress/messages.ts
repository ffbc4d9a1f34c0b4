import type { DnsOptions, SecretOptions, TrustOptions } from '../options.ts';
import type { RelayTarget } from './relay.ts';

/** What an egress server is to know. */
export interface EgressOptions {
  /** What whoever asks must show. */
  readonly token: string;
  /** Where paths of files that do not begin with `/` begin. */
  readonly folder: string;
  readonly dns: DnsOptions;
  readonly secrets: SecretOptions;
  /** Null: the public CAs. */
  readonly trust: TrustOptions | null;
  /** TLS identities handed over before, by name. */
  readonly identities: Readonly<Record<string, string>>;
  /** Called with each TLS identity that is handed over from now on. */
  readonly onIdentity: (name: string, text: string) => void;
}

/** `identities`: those handed over to an earlier process. */
export interface EgressStart extends Omit<EgressOptions, 'onIdentity'> {
  readonly type: 'start';
  /** Where the relays lead; their listening sockets are descriptors 5, 6, … */
  readonly relays: readonly RelayTarget[];
}

export type FromEgress =
  | { readonly type: 'ready' }
  /** To be handed over again to the next process. In memory only: it may hold a private key. */
  | { readonly type: 'identity'; readonly name: string; readonly text: string };

/** Descriptor of the socket the Workers reach it on: 3 is the IPC channel. */
export const EGRESS_DESCRIPTOR = 4;
