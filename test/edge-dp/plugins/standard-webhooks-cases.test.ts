import { runCases } from './case-runner/run-cases.ts';

runCases('standard-webhooks', ['workerd', 'Miniflare']);
