import type { DnsOptions } from '../options.ts';

/** What the egress process and whoever keeps it running tell each other over Node's IPC channel. */

export interface EgressStart {
  readonly type: 'start';
  readonly token: string;
  /** TLS identities handed over to an earlier process, by name: the text that was PUT. */
  readonly identities: Readonly<Record<string, string>>;
  /** Where the relays lead; their listening sockets are descriptors 5, 6, … */
  readonly relays: readonly { readonly host: string; readonly port: number }[];
  readonly dns: DnsOptions;
}

export type FromEgress =
  | { readonly type: 'ready' }
  /** To be handed over again to the next process. In memory only: it may hold a private key. */
  | { readonly type: 'identity'; readonly name: string; readonly text: string };

/** Descriptor of the socket the Workers reach it on: 3 is the IPC channel. */
export const EGRESS_DESCRIPTOR = 4;
