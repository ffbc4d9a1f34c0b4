import { runCases } from './case-runner/run-cases.ts';

runCases('jwt', ['workerd', 'Miniflare']);
