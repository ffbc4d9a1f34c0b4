import { runCases } from './case-runner/run-cases.ts';

runCases('key-auth', ['workerd', 'Miniflare', 'node']);
