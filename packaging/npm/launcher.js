#!/usr/bin/env node
// The command of the npm package. Holdfast runs on Node 24; on an older one, by the Node 24 that npm brings along with it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('./cp/holdfast.js', import.meta.url));
const NEEDED = 24;

if (Number.parseInt(process.versions.node, 10) >= NEEDED) {
  process.argv[1] = CLI;
  await import('./cp/holdfast.js');
} else {
  const node = broughtAlong();
  if (node === null) {
    process.stderr.write(
      `holdfast: Node ${NEEDED} or newer is needed, this is ${process.versions.node}, and npm brings none along for ${process.platform} ${process.arch}\n`,
    );
    process.exitCode = 1;
  } else {
    run(node);
  }
}

function broughtAlong() {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  try {
    const folder = dirname(createRequire(import.meta.url).resolve(`node-${platform}-${process.arch}/package.json`));
    const path = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(path) ? path : null;
  } catch {
    return null;
  }
}

/** Ends as its child does, and hands on the signals that mean something to it. */
function run(node) {
  const child = spawn(node, [CLI, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => {
    process.stderr.write(`holdfast: ${node} does not run: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}
