import { runCases } from './case-runner/run-cases.ts';

runCases('chains');
runCases('global');
