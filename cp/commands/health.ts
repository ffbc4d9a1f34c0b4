import { resolve } from 'node:path';

import { findInstance } from '../instance.ts';
import { CommandError, type Invocation, settingsFor } from './command.ts';

/** `holdfast health`: exits 0 when the instance of this prefix runs and its interfaces answer. */
export async function health(invocation: Invocation): Promise<void> {
  const { settings } = settingsFor(invocation);
  const folder = resolve(settings.prefix);
  const instance = findInstance(folder);
  if (!instance) throw new CommandError(`Holdfast is not running at ${folder}`);

  const checks: [string, string | undefined][] = [
    ['Admin API', instance.admin && `${instance.admin}/status`],
    ['data plane', instance.status && `${instance.status}/status/ready`],
  ];
  const failures: string[] = [];
  for (const [name, url] of checks) {
    if (url === undefined) continue;
    const outcome = await probe(url);
    process.stdout.write(`${name.padEnd(11)}${outcome ?? 'ok'}\n`);
    if (outcome !== null) failures.push(`${name}: ${outcome}`);
  }
  if (failures.length > 0)
    throw new CommandError(`Holdfast (pid ${instance.pid}) is not healthy: ${failures.join('; ')}`);
  process.stdout.write(`Holdfast is healthy at ${folder} (pid ${instance.pid}, role ${instance.role})\n`);
}

/** In the answer of the Admin API's `GET /status`. */
const DATABASE_LOST = /"database":\{"reachable":false/;

/** Null when `url` answers 2xx, otherwise what it did. */
async function probe(url: string): Promise<string | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    const text = await response.text();
    if (!response.ok) return `answers ${response.status}: ${text.slice(0, 200)}`;
    return DATABASE_LOST.test(text) ? 'answers, but does not reach its database' : null;
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return `does not answer at ${url} (${cause instanceof Error ? cause.message : cause})`;
  }
}
