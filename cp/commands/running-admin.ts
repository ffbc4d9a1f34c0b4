import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { resolve } from 'node:path';
import { type Row, recordOrEmpty } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { findInstance } from '../instance/instance.ts';
import type { Settings } from '../settings/properties.ts';
import { CommandError } from './command.ts';

/** What an Admin API refused, in its words. */
export class AdminRefusal extends CommandError {
  /** What is wrong, field by field; empty where it is nothing of the kind. */
  readonly fields: Row;
  /** The answer's. */
  readonly status: number;

  constructor(message: string, fields: Row, status: number) {
    super(message);
    this.fields = fields;
    this.status = status;
  }
}

/** The Admin API of an instance that runs. */
export interface RunningAdmin {
  /** The body of a 2xx answer. Throws `AdminRefusal` for another. */
  ask(path: string, document?: { readonly text: string; readonly type: string }, method?: 'DELETE'): Promise<string>;
}

/**
 * The Admin API of the instance that has the embedded database of these settings in use (or its config, with `database = off`), which
 * nobody else can open then. `command`: who asks, as `config import`. Null: the database is another one, or free.
 */
export function runningAdmin(settings: Settings, command: string): RunningAdmin | null {
  return settings.role === 'data_plane' || settings.database === 'postgres' ? null : instanceAdmin(settings, command);
}

/** The Admin API of the instance that runs in the prefix; null: none does, or it has none. `command`: who asks, as `config import`. */
export function instanceAdmin(settings: Settings, command: string): RunningAdmin | null {
  const base = findInstance(resolve(settings.prefix))?.admin;
  if (base === undefined) return null;
  return { ask: (...asked) => answer(base, command, asked) };
}

function answer(
  base: string,
  command: string,
  [path, document, verb]: Parameters<RunningAdmin['ask']>,
): Promise<string> {
  const send = base.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new CommandError(`the running instance does not answer at ${base}: ${messageOf(error)}`));
    const type = document === undefined ? {} : { 'content-type': document.type };
    const headers = { 'user-agent': `holdfast ${command}`, ...type };
    const method = verb ?? (document === undefined ? 'GET' : 'POST');
    // The instance's certificate is not asked about: it is known by its address and is for other names than that.
    const request = send(`${base}${path}`, { method, headers, agent: false, rejectUnauthorized: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', fail).once('end', () => {
        const { statusCode = 0 } = response;
        if (statusCode >= 200 && statusCode <= 299) resolve(text);
        else reject(refusal(statusCode, text));
      });
    });
    request.once('error', fail).end(document?.text);
  });
}

function refusal(status: number, text: string): CommandError {
  try {
    const { message, fields } = recordOrEmpty(JSON.parse(text));
    if (typeof message === 'string') return new AdminRefusal(message, recordOrEmpty(fields), status);
  } catch {
    // No answer of an Admin API.
  }
  return new CommandError(`the running instance answers ${status}: ${text.slice(0, 500)}`);
}
