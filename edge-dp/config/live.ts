import type { ManifestSplit } from '../../shared/bundle/split.ts';
import type { ServedPath } from '../proxy/request-path.ts';
import type { LazyTables } from './lazy.ts';

/** The config requests see: one pointer, read once per request, replaced whole. */
export interface LiveConfig {
  /** Null while no config has ever arrived: everything answers 404. */
  readonly serial: number | null;
  readonly configHash: string | null;
  /** Where it came from. */
  readonly source: 'control_plane' | 'cache' | 'declarative' | 'empty';
  readonly path: ServedPath;
  readonly lazy: LazyTables;
  /** Some of the requests get another config, which `path` sees to. Null: all get the one. */
  readonly split: ManifestSplit | null;
}
