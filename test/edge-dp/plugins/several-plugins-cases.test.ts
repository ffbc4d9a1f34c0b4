import { runCases } from './case-runner/run-cases.ts';

runCases('chains', ['workerd', 'node']);
runCases('global');
