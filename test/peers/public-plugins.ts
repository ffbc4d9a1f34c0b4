import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A plugin for Kong that somebody else has published, at one of its commits. */
export interface PublicPlugin {
  readonly name: string;
  readonly repository: string;
  readonly commit: string;
  /** Paths of its files in the repository: schema, handler, and what more there is by the names they are required by. */
  readonly schema: string;
  readonly handler: string;
  readonly modules?: Readonly<Record<string, string>>;
}

/** A folder that has `<owner>/<name>/<path>` of each, for machines without a way to GitHub. */
const FOLDER = 'HOLDFAST_PUBLIC_PLUGINS';

/** What is sent to `/custom-plugins` for it: its files as they are. Throws, saying what to do, where they cannot be had. */
export async function publicPlugin(plugin: PublicPlugin): Promise<object> {
  const { name, repository, commit, schema, handler, modules = {} } = plugin;
  const read = (path: string): Promise<string> => fileOf(repository, commit, path);
  const more = await Promise.all(Object.entries(modules).map(async ([module, path]) => [module, await read(path)]));
  return {
    name,
    schema: await read(schema),
    handler: await read(handler),
    ...(more.length > 0 && { modules: Object.fromEntries(more) }),
  };
}

async function fileOf(repository: string, commit: string, path: string): Promise<string> {
  const folder = process.env[FOLDER];
  if (folder !== undefined) return readFile(join(folder, repository, path), 'utf8');
  const url = `https://raw.githubusercontent.com/${repository}/${commit}/${path}`;
  const hint = `these tests need ${repository} at ${commit}: let them reach ${url}, or set ${FOLDER} to a folder with ${repository}/${path}`;
  let answer: Response;
  try {
    answer = await fetch(url, { signal: AbortSignal.timeout(30_000) });
  } catch (error) {
    throw new Error(hint, { cause: error });
  }
  if (!answer.ok) throw new Error(`${hint} (it answers ${answer.status})`);
  return answer.text();
}
