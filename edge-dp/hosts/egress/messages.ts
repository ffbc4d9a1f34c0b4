import type { Environment } from '../environment.ts';
import type { DnsOptions, SecretOptions, TrustOptions } from '../options.ts';
import type { RelayTarget } from './relay.ts';

/** What an egress server is to know. */
export interface EgressOptions {
  /** What whoever asks must show. */
  readonly token: string;
  /** Where paths of files that do not begin with `/` begin. */
  readonly folder: string;
  readonly dns: DnsOptions;
  /** What `{vault://env/…}` is looked up in. */
  readonly environment: Environment;
  /** Null: the public CAs. */
  readonly trust: TrustOptions | null;
  /** TLS identities handed over before, by name. */
  readonly identities: Readonly<Record<string, string>>;
  /** Called with each TLS identity that is handed over from now on; null: that is let go of. */
  readonly onIdentity: (name: string, text: string | null) => void;
}

/** `identities`: those handed over to an earlier process. */
export interface EgressStart extends Omit<EgressOptions, 'onIdentity' | 'environment'>, Changeable {
  readonly type: 'start';
}

/** What a reload brings. */
export interface EgressChange extends Changeable {
  readonly type: 'change';
}

interface Changeable {
  readonly secrets: SecretOptions;
  readonly relays: readonly RelayPlace[];
}

/** A relay, and the path of the socket it is to open; null: it has the next of descriptors 5, 6, … */
export interface RelayPlace extends RelayTarget {
  readonly path: string | null;
}

export type FromEgress =
  | { readonly type: 'ready' }
  /** Answers `change`. */
  | { readonly type: 'changed' }
  /** To be handed over again to the next process. In memory only: it may hold a private key. */
  | { readonly type: 'identity'; readonly name: string; readonly text: string | null };

/** Descriptor of the socket the Workers reach it on: 3 is the IPC channel. */
export const EGRESS_DESCRIPTOR = 4;
