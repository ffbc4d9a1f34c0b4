/**
 * Where a process that serves begins: it loads of Node what it needs whatever it is to serve, which is half of what it takes to be
 * there, and then the Worker that it is told of, which takes everything from there.
 */

import { pathToFileURL } from 'node:url';
import { isMessage } from '../../supervision/message.ts';
import type { ToProcess } from '../messages.ts';

// Not by `import`, for which Node reads all that a module exports: with `node:http` that is all of its Fetch.
for (const name of [
  'node:crypto',
  'node:dgram',
  'node:dns/promises',
  'node:fs/promises',
  'node:http',
  'node:http2',
  'node:https',
  'node:net',
  'node:sqlite',
  'node:stream',
  'node:tls',
  'node:zlib',
]) {
  process.getBuiltinModule(name);
}

process.once('message', (message) => {
  if (!isMessage<ToProcess>(message) || message.type !== 'load') return;
  // Nobody listens until the Worker is there: what comes meanwhile waits, and so does this process.
  process.channel?.ref();
  void import(pathToFileURL(message.main).href);
});
process.on('disconnect', () => process.exit());
