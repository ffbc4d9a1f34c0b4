import { AsyncLocalStorage } from 'node:async_hooks';
import { literal } from './database.ts';

/** Who makes a change, as far as that can be told. The Admin API knows no users: what it is told is kept, and nothing is made up. */
export interface Author {
  /** How it came: a request of the Admin API, a command that opened the database itself, or the control plane of its own accord. */
  readonly via: 'admin_api' | 'command' | 'control_plane';
  /** The name a proxy in front vouches for (`admin_user_header`); of a command its user of the system. */
  readonly user: string | null;
  /** The address of the client. */
  readonly address: string | null;
  /** The program, the command, or the work of the control plane that did it. */
  readonly client: string | null;
}

/** The transaction's setting from which the change log takes it, as JSON. */
const SETTING = 'holdfast.author';

const current = new AsyncLocalStorage<Author>();

/** What is written in `work`, and in what it waits for, is by this author. Texts must have no characters that are not seen. */
export function writingAs<T>(author: Author, work: () => T): T {
  return current.run(author, work);
}

/** The same of what a control plane does of its own accord. `what`: a few words, as `releases`. */
export function writingAlone<T>(what: string, work: () => T): T {
  return writingAs({ via: 'control_plane', user: null, address: null, client: what }, work);
}

/** The author of what is written here, as the database is told it; empty: nobody said. */
export function authorText(): string {
  const author = current.getStore();
  return author === undefined ? '' : JSON.stringify(author);
}

/** What begins a transaction of this author; null: nobody said who writes. */
export function authorStatement(): string | null {
  const text = authorText();
  return text === '' ? null : `SET LOCAL ${SETTING} = ${literal(text)}`;
}

/** Tells the author within a statement that is a transaction of its own. `parameter`: the number of `authorText`. */
export const tellAuthor = (parameter: number): string => `set_config('${SETTING}', $${parameter}, true)`;
