import { ReleaseConflict } from '../../releases/desk.ts';
import { schemaOf } from '../entity/catalog.ts';
import { rowKey } from '../entity/key.ts';
import { message, Refusal, type Reply } from '../reply.ts';
import type { Call } from '../route.ts';

/** The name of a group that is asked for by its name or id; null: there is none. */
export async function groupNamed(call: Call, key: string): Promise<string | null> {
  const row = await call.workspace.entity('groups').select(rowKey(schemaOf('groups'), key));
  return row === null ? null : String(row.name);
}

/** The answer where somebody asks for what is pending, and the group is given all at once. */
export function nothingPending(group: string): Reply {
  return message(409, `group '${group}' publishes what is written at once: nothing is ever pending`);
}

/** Answers 409, with the reason, where something does not go as releases are. */
export async function conflicting<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ReleaseConflict) throw new Refusal(message(409, error.message));
    throw error;
  }
}
