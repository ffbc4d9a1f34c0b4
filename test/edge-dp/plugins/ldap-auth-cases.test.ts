import { runCases } from './case-runner/run-cases.ts';

runCases('ldap-auth', ['workerd', 'Miniflare']);
