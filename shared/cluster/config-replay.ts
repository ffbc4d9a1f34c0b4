import type { Manifest, PackedObject } from '../bundle/format.ts';
import type { RequestShape } from './replay.ts';

/** A config with all that it consists of. */
export interface WholeConfig {
  readonly manifest: Manifest;
  readonly objects: readonly PackedObject[];
}

/** Two configs, and what is run over them, without a data plane. */
export interface ConfigReplay {
  readonly before: WholeConfig;
  readonly after: WholeConfig;
  readonly requests: readonly RequestShape[];
  /** Requests that differ which are told one by one, at most. */
  readonly list: number;
  readonly routerFlavor: 'traditional_compatible' | 'expressions' | 'traditional';
  /** The operator's own plugins, of which only what they are called and when they run counts. */
  readonly own: readonly { readonly name: string; readonly version: string; readonly priority: number }[];
}
