#!/usr/bin/env node
// Where the `holdfast` command begins. JavaScript, since what reads TypeScript is itself a program to be loaded first, and nothing is kept
// of what was read before the cache is there.
import * as module from 'node:module';
import { fileURLToPath } from 'node:url';

const NEEDED = 24;

if (Number.parseInt(process.versions.node, 10) < NEEDED) {
  process.stderr.write(
    `holdfast: Node ${NEEDED} or newer is needed, this is ${process.versions.node}; 'npm start', 'npm run holdfast -- COMMAND' and 'npx holdfast COMMAND' run it by the one that 'npm ci' brings along\n`,
  );
  process.exitCode = 1;
} else {
  // What a command is made of is compiled once, not at each call; where nobody may write, or one is set, this does nothing.
  module.enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url)));
  await import('./cli.ts');
}
