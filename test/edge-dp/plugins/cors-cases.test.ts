import { runCases } from './case-runner/run-cases.ts';

runCases('cors', ['workerd', 'Miniflare']);
