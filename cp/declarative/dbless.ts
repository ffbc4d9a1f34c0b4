import { KongError } from '../../shared/schema/errors.ts';
import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import type { ConfigLoader } from '../admin/declarative/config-loader.ts';
import { Refusal } from '../admin/reply.ts';
import type { Log } from '../instance/log.ts';
import type { Settings } from '../settings/properties.ts';
import { declaredDocument } from './declared.ts';
import { describeErrors } from './describe-errors.ts';

/**
 * Makes the document that the settings name the config of an instance with `database = off`, in the place of what was there. Where they
 * name none, that stays. Throws an error that says all that is wrong with the document, nothing being changed then.
 */
export async function loadDeclared(loader: ConfigLoader, settings: Settings, log: Log): Promise<void> {
  const declared = declaredDocument(settings);
  if (declared === null) return;
  const { text, source } = declared;
  const options = { flattenErrors: false, checkHash: false };
  const loaded = await loader.load(DEFAULT_WORKSPACE.name, text, options).catch(async (error: unknown) => {
    if (error instanceof Refusal) throw new Error(`${source}: ${error.message}`);
    if (!(error instanceof KongError)) throw error;
    const { documentLines } = await import('../../shared/declarative/document-lines.ts');
    const what = error.code === 14 ? describeErrors(error.fields ?? {}, documentLines(text)) : error.message;
    throw new Error(`error parsing ${source}:\n${what}`);
  });
  if (loaded.outcome === 'busy') throw new Error('declarative_config: another document is being loaded; try again');
  if (loaded.outcome === 'unchanged') return;
  const { written, deleted, unchanged } = loaded;
  log('info', `loaded ${source}: ${written} entities written, ${deleted} deleted, ${unchanged} unchanged`);
}
