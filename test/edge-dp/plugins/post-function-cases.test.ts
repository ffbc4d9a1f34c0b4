import { runCases } from './case-runner/run-cases.ts';

runCases('post-function', ['workerd', 'Miniflare']);
