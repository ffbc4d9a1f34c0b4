import type { ChildProcess } from 'node:child_process';

/** How a scenario's requests come. */
export type Way = 'plain' | 'tls' | 'http2' | 'grpc';

/** Something that is loaded: the gateway, or what it is measured against. */
export interface Rival {
  readonly name: string;
  readonly child: ChildProcess;
  /** Absent: it does not serve that way. */
  readonly ports: { readonly [W in Way]?: number };
  stop(): void;
}
