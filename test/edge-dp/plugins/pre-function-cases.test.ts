import { runCases } from './case-runner/run-cases.ts';

runCases('pre-function', ['workerd', 'Miniflare']);
