import { runCases } from './case-runner/run-cases.ts';

runCases('bot-detection', ['workerd', 'Miniflare']);
