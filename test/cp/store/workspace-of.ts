import type { Store, Workspace } from '../../../cp/store/store.ts';
import { KongError } from '../../../shared/schema/errors.ts';
import { refusal } from './drivers.ts';

/** The named workspace, which must exist. */
export async function workspaceOf(store: Store, name = 'default'): Promise<Workspace> {
  const workspace = await store.workspace(name);
  if (workspace === null) throw new Error(`no workspace ${name}`);
  return workspace;
}

/** The Admin API body of the error a write is refused with. */
export async function refusalBody(promise: Promise<unknown>): Promise<object> {
  const error = await refusal(promise);
  if (!(error instanceof KongError)) throw error;
  return error.body();
}
