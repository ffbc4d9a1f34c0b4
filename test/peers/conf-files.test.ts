import { afterAll, beforeAll, expect, it } from 'vitest';
import { ROOT } from '../documented-blocks.ts';
import { type Machine, startMachine } from './machine.ts';

// Where nobody names a file, settings are read from the first of these that is there, among them Kong's own.
const FILES = ['/srv/holdfast.conf', '/etc/holdfast/holdfast.conf', '/etc/kong/kong.conf', '/etc/kong.conf'];

let machine: Machine;
beforeAll(async () => {
  machine = await startMachine({});
  await machine.run(`rm -f ${FILES.join(' ')} && mkdir -p /srv`);
});
afterAll(async () => machine?.stop());

/** What the settings come to in /srv, as `start` would read them. */
const settings = async (environment: Readonly<Record<string, string>> = {}, words = '') => {
  const command = `'${process.execPath}' '${ROOT}cp/holdfast.js' check ${words}`;
  const { code, output } = await machine.run(command, { folder: '/srv', environment });
  expect(code, output).toBe(0);
  return output.split('\n').filter((line) => line.includes(' = '));
};
const proxyAt = (port: number, from: string): string =>
  expect.stringMatching(new RegExp(`proxy_listen = .*:${port}.*\\(${from}`));

it('settings come from the files of Kong where there are none of Holdfast’s, and from the first that is there', async () => {
  expect(await settings()).toEqual([]);
  for (const [at, file] of [...FILES.entries()].toReversed()) {
    const port = 9000 + at;
    await machine.run(`mkdir -p "$(dirname ${file})" && echo 'proxy_listen = 127.0.0.1:${port}' > ${file}`);
    // One of the folder that a command runs in is called by its name alone.
    expect(await settings()).toEqual([proxyAt(port, file.replace('/srv/', ''))]);
  }
  // What is said at the command itself is stronger than all of them.
  expect(await settings({ KONG_PROXY_LISTEN: '127.0.0.1:9100' })).toEqual([proxyAt(9100, 'environment')]);
  expect(await settings({}, '/etc/kong/kong.conf')).toEqual([proxyAt(9002, '/etc/kong/kong.conf')]);
});
