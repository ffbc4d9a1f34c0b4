import { runCases } from './case-runner/run-cases.ts';

runCases('basic-auth', ['workerd', 'Miniflare']);
