import type { ConfigReplay } from '../../shared/cluster/config-replay.ts';
import type { ReplayFigures } from '../../shared/cluster/replay.ts';
import type { ParsedConfig } from '../../shared/declarative/parse.ts';
import { plugins as knownPlugins } from '../../shared/plugins/registry.ts';
import { alignedWith } from '../declarative/aligned.ts';
import { exportedDocument } from '../declarative/exported.ts';
import { packConfig } from '../declarative/pack.ts';
import type { Settings } from '../settings/properties.ts';
import { catalogOf, type Schemas } from '../store/catalog.ts';
import { CommandError, type Invocation } from './command.ts';
import { parseConfigText, readConfigText } from './config-file.ts';
import { requestsIn, tellReplay } from './replay.ts';
import { runningAdmin } from './running-admin.ts';
import { inDefaultWorkspace } from './stores.ts';

/** What `cp/cli.ts` hands in from the data plane's side: its code over two configs, in this process. */
export type ReplayConfigs = (replay: ConfigReplay) => Promise<ReplayFigures>;

/** Requests told one by one, at most. */
const LISTED = 100;

/**
 * `holdfast config replay FILE`: which requests would meet something else if the file were the whole config, beside another file
 * or what is stored. No data plane is asked, so that it goes where there is none.
 */
export async function replayConfig(
  settings: Settings,
  {
    schemas,
    own,
    replay,
  }: { readonly schemas: Schemas; readonly own: readonly string[]; readonly replay: ReplayConfigs },
  file: string,
  { requests: from, against, host, scheme }: Invocation['options'],
): Promise<void> {
  if (typeof from !== 'string') {
    throw new CommandError(
      "config replay needs --requests: a list of requests, a HAR or an access log. Those that data planes remember are for 'release replay'",
      2,
    );
  }
  const requests = requestsIn(from, { command: 'config replay', host, scheme });
  const [before, base] =
    typeof against === 'string'
      ? [await parseConfigText(readConfigText(against), against, schemas), against]
      : [await parseConfigText(await storedConfig(settings), 'of the database', schemas), 'what is stored'];
  const after = await parseConfigText(readConfigText(file), file, schemas, rowsOf(before, 'custom_plugins'));
  const aligned = await alignedWith(before, after, catalogOf(schemas));
  const named = own.flatMap((name) => knownPlugins.get(name) ?? []);
  const figures = await replay({
    before: await packConfig(before),
    after: await packConfig(aligned),
    requests,
    list: LISTED,
    routerFlavor: settings.router_flavor,
    own: named.map(({ name, version, priority }) => ({ name, version, priority })),
  }).catch((error: unknown) => {
    throw error instanceof Error ? new CommandError(error.message) : error;
  });
  tellReplay(figures, `compared with ${base}`);
}

/** What `config export` would write. */
async function storedConfig(settings: Settings): Promise<string> {
  const admin = runningAdmin(settings, 'config replay');
  if (admin !== null) return admin.ask('/config/export');
  return inDefaultWorkspace(settings, async (workspace) => {
    let text = '';
    for await (const part of exportedDocument(workspace)) text += part;
    return text;
  });
}

function rowsOf(config: ParsedConfig, entity: string) {
  return [...(config.entities.get(entity)?.values() ?? [])].map(({ row }) => ({ ...row }));
}
