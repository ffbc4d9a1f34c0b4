import { readFileSync, statSync } from 'node:fs';
import { packShape, type ReplayFigures, type RequestShape } from '../../shared/cluster/replay.ts';
import { isRecord, mustBeRecord, type Row, recordOrEmpty } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { RequestsFault } from '../replay/requests.ts';
import { readRequestsFile } from '../replay/requests-file.ts';
import { CommandError, type Invocation, type Option } from './command.ts';
import { print, textOf } from './print-changes.ts';
import type { RunningAdmin } from './running-admin.ts';

/** Bytes of a file, and of what is sent of it. */
const LARGEST_FILE = 256 << 20;
const LARGEST_BODY = 32 << 20;

/** Which requests a replay is of, for the commands that have one. */
export const REQUEST_OPTIONS: Readonly<Record<string, Option>> = {
  requests: { takes: 'FILE', text: 'replay: a list of requests, a HAR or an access log' },
  host: { takes: 'HOST', text: 'replay: of the lines of an access log that have none' },
  scheme: { takes: 'SCHEME', text: 'replay: http or https, of the lines of an access log' },
};

/** The exit code where some requests would meet something else. */
export const DIFFERENT = 3;

/**
 * Replays requests over what has that path of the Admin API, a release or what is pending, and says which would meet something else; those
 * of a file, or those that data planes remember.
 */
export async function replay(admin: RunningAdmin, path: string, options: Invocation['options']): Promise<void> {
  const { requests: file, host, scheme, 'data-plane': node } = options;
  const asked: Row = typeof node === 'string' ? { data_plane: node } : {};
  if (typeof file === 'string') {
    asked.requests = requestsIn(file, { command: 'release replay', host, scheme }).map(packShape);
  } else if (host !== undefined || scheme !== undefined) {
    throw new CommandError(
      'release replay --host and --scheme go with --requests: they are for the lines of an access log',
      2,
    );
  }
  const text = JSON.stringify(asked);
  if (text.length > LARGEST_BODY) {
    throw new CommandError(
      `${String(file)}: its requests make ${text.length >> 20} MB, of ${LARGEST_BODY >> 20}: replay them in parts`,
    );
  }
  const answer = await admin.ask(`${path}/replay`, { text, type: 'application/json' });
  const told = mustBeRecord(JSON.parse(answer), 'the answer');
  const { data_plane, compared_with } = told;
  const { hostname } = recordOrEmpty(data_plane);
  tellReplay(
    told,
    `compared with serial ${String(recordOrEmpty(compared_with).serial)} of data plane ${String(hostname)}`,
  );
}

/** The requests of a file; `host` and `scheme` are for the lines of an access log that do not say them. Throws `CommandError`. */
export function requestsIn(
  file: string,
  { command, host, scheme: given }: { readonly command: string; readonly host: unknown; readonly scheme: unknown },
): readonly RequestShape[] {
  const scheme = given ?? 'http';
  if (scheme !== 'http' && scheme !== 'https') throw new CommandError(`${command} --scheme takes 'http' or 'https'`, 2);
  const text = textIn(file);
  try {
    const { shapes, skipped, reason } = readRequestsFile(text, {
      host: typeof host === 'string' ? host : null,
      scheme,
    });
    if (skipped > 0)
      process.stderr.write(`warning: ${file}: ${skipped} entries are passed over, the first: ${reason}\n`);
    return shapes;
  } catch (error) {
    if (error instanceof RequestsFault) throw new CommandError(`${file}: ${error.message}`);
    throw error;
  }
}

function textIn(file: string): string {
  try {
    const { size } = statSync(file);
    if (size <= LARGEST_FILE) return readFileSync(file, 'utf8');
    throw new CommandError(`${file}: ${Math.ceil(size / 2 ** 20)} MB, of ${LARGEST_FILE >> 20}: replay it in parts`);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`cannot read ${file}: ${messageOf(error)}`);
  }
}

/** Tells what came of a replay; `compared`: with what, in words. Throws `CommandError` with a code of its own where something differs. */
export function tellReplay(told: Readonly<Row> | ReplayFigures, compared: string): void {
  const { requests, changed, unsure } = told;
  print(`${String(requests)} requests, ${compared}`);
  if (unsure !== 0) print(`${String(unsure)} of them are not sure: something that counts is not known of them`);
  if (changed === 0) {
    print('nothing would be different');
    return;
  }
  showChanges(told);
  throw new CommandError(`${String(changed)} of ${String(requests)} requests would meet something else`, DIFFERENT);
}

function showChanges({ changed, changes, differing }: Readonly<Row> | ReplayFigures): void {
  const counted = Object.entries(recordOrEmpty(changes)).filter(([, count]) => count !== 0);
  print(`different: ${counted.map(([aspect, count]) => `${aspect} ${String(count)}`).join(', ')}`);
  const listed = Array.isArray(differing) ? differing.filter(isRecord) : [];
  for (const one of listed) showOne(one);
  const rest =
    Number(changed) - listed.reduce((sum, { request }) => sum + Number(recordOrEmpty(request).count ?? 1), 0);
  if (rest > 0) print(`and ${rest} more`);
}

function showOne({ request, changes, before, after }: Row): void {
  const { method = 'GET', scheme = 'http', host = '', path, query, headers, count } = recordOrEmpty(request);
  const url = `${String(scheme)}://${String(host)}${String(path)}${typeof query === 'string' && query !== '' ? `?${query}` : ''}`;
  const told = Object.entries(recordOrEmpty(headers)).filter(([, value]) => value !== null);
  const how = told.map(([name, value]) => `  ${name}: ${String(value)}`).join('');
  print(`${String(method)} ${url}${how}${typeof count === 'number' ? `  (${count} requests)` : ''}`);
  const [was, is] = [recordOrEmpty(before), recordOrEmpty(after)];
  for (const aspect of Array.isArray(changes) ? changes.map(String) : []) {
    print(`  ${aspect}: ${shown(was[aspect])} -> ${shown(is[aspect])}`);
  }
}

const shown = (value: unknown): string =>
  value === null ? 'none' : Array.isArray(value) ? value.join(', ') || 'none' : textOf(value);
