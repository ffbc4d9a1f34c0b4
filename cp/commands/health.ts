import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { resolve } from 'node:path';
import { messageOf } from '../../shared/thrown.ts';

import { findInstance, notRunning } from '../instance/instance.ts';
import { datesNotice } from '../pki/certificate-dates.ts';
import { CommandError, type Invocation, settingsFor } from './command.ts';

/** `holdfast health`: exits 0 when the instance of this prefix runs and its interfaces answer. */
export async function health(invocation: Invocation): Promise<void> {
  const { settings } = settingsFor(invocation);
  const folder = resolve(settings.prefix);
  const instance = findInstance(folder);
  if (!instance) throw new CommandError(notRunning(folder));

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
  // No failure: what serves must not be restarted by whoever asks for its health.
  for (const certificate of instance.certificates) {
    const notice = datesNotice(certificate, new Date());
    if (notice !== null) process.stdout.write(`${notice.level === 'error' ? 'error' : 'warning'}: ${notice.message}\n`);
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
    const { status, text } = await ask(url);
    if (status < 200 || status > 299) return `answers ${status}: ${text.slice(0, 200)}`;
    return DATABASE_LOST.test(text) ? 'answers, but does not reach its database' : null;
  } catch (error) {
    return `does not answer at ${url} (${messageOf(error)})`;
  }
}

/** The instance's certificate is not asked about: it is known by its address and is for other names than that. */
function ask(url: string): Promise<{ readonly status: number; readonly text: string }> {
  const get = url.startsWith('https:') ? httpsGet : httpGet;
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: PATIENCE, rejectUnauthorized: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject).once('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request
      .once('error', reject)
      .once('timeout', () => request.destroy(new Error(`no answer in ${PATIENCE / 1000} s`)));
  });
}

/** Milliseconds. */
const PATIENCE = 5000;
