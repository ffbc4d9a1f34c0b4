import { runCases } from './case-runner/run-cases.ts';

runCases('hmac-auth', ['workerd', 'Miniflare']);
