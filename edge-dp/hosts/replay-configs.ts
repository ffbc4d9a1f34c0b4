import type { ConfigReplay } from '../../shared/cluster/config-replay.ts';
import { parseReplayFigures, type ReplayFigures } from '../../shared/cluster/replay.ts';
import { recordOrEmpty } from '../../shared/record.ts';
import { moduleFile } from './module-file.ts';

/**
 * What requests meet in one config and in another, in this process, by the code of data planes, which is a Worker's. Throws what
 * a data plane would refuse one for.
 */
export async function replayConfigs(replay: ConfigReplay): Promise<ReplayFigures> {
  const module: unknown = await import(/* @vite-ignore */ moduleFile('../replay/configs', import.meta.url));
  const { replayConfigs: run } = recordOrEmpty(module);
  if (typeof run !== 'function') throw new TypeError('the code of data planes has no replay of configs');
  const count = replay.requests.reduce((sum, shape) => sum + shape.count, 0);
  return parseReplayFigures(await run(replay), count, replay.list);
}
