import { runCases } from './case-runner/run-cases.ts';

runCases('request-size-limiting', ['workerd', 'Miniflare']);
