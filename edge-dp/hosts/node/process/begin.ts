/**
 * Where a process that serves begins: it loads of Node what it needs whatever it is to serve, which is half of what it takes to be
 * there, and then the Worker that it is told of, which takes everything from there.
 */

import 'node:crypto';
import 'node:dgram';
import 'node:dns/promises';
import 'node:fs/promises';
import 'node:http';
import 'node:http2';
import 'node:https';
import 'node:net';
import 'node:sqlite';
import 'node:stream';
import 'node:tls';
import 'node:zlib';
import { pathToFileURL } from 'node:url';
import { isMessage } from '../../supervision/message.ts';
import type { ToProcess } from '../messages.ts';

process.once('message', (message) => {
  if (!isMessage<ToProcess>(message) || message.type !== 'load') return;
  // Nobody listens until the Worker is there: what comes meanwhile waits, and so does this process.
  process.channel?.ref();
  void import(pathToFileURL(message.main).href);
});
process.on('disconnect', () => process.exit());
