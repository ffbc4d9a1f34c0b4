import { runCases } from './case-runner/run-cases.ts';

runCases('aws-lambda');
runCases('azure-functions');
