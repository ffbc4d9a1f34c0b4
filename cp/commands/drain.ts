import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { resolve } from 'node:path';
import { messageOf } from '../../shared/thrown.ts';
import { findInstance, notRunning } from '../instance/instance.ts';
import { type Command, CommandError, type Invocation, settingsFor } from './command.ts';

/** Milliseconds. */
const PATIENCE = 5000;

/** Has the Status API of a running instance say that it is not ready, so that load balancers send what is new elsewhere. */
export const drain: Command = {
  summary: 'have a running instance say that it takes nothing new: /status/ready answers 503',
  examples: ['holdfast drain', 'holdfast drain --prefix /var/lib/holdfast && sleep 30 && holdfast quit'],
  run: drainInstance,
};

async function drainInstance(invocation: Invocation): Promise<void> {
  const folder = resolve(settingsFor(invocation).settings.prefix);
  const instance = findInstance(folder);
  if (instance === null) throw new CommandError(notRunning(folder));
  const { pid, status } = instance;
  if (status === undefined)
    throw new CommandError(`Holdfast (pid ${pid}) has no Status API to say so: set status_listen`);
  await order(`${status}/status/ready`);
  process.stdout.write(`Holdfast (pid ${pid}) is draining: /status/ready answers 503\n`);
}

/** The instance's certificate is not asked about: it is known by its address and is for other names than that. */
function order(url: string): Promise<void> {
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  const headers = { 'content-type': 'application/json' };
  return new Promise((done, reject) => {
    const fail = (reason: string) => reject(new CommandError(`the Status API at ${url} ${reason}`));
    const options = { method: 'POST', headers, agent: false, timeout: PATIENCE, rejectUnauthorized: false };
    const request = send(url, options, (response) => {
      response.resume();
      if (response.statusCode === 204) done();
      else fail(`answers ${response.statusCode}`);
    });
    request
      .once('error', (error) => fail(`does not answer (${messageOf(error)})`))
      .once('timeout', () => request.destroy(new Error(`no answer in ${PATIENCE / 1000} s`)))
      .end('{"status":"draining"}');
  });
}
