#!/usr/bin/env node
// Where the `holdfast` command begins. JavaScript, since what reads TypeScript is itself a program to be loaded first, and nothing is kept
// of what was read before the cache is there.
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// What a command is made of is compiled once, not at each call; where nobody may write, or one is set, this does nothing.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url)));
await import('./cli.ts');
